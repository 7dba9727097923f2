select
    supplier_id,
    name as supplier_name,
    contact_name,
    contact_email,
    contact_phone,
    street,
    city,
    province,
    postal_code,
    lead_time_days,
    status as supplier_status,
    merged_into_supplier_id,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_suppliers') }}
