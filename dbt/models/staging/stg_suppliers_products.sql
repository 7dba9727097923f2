select
    product_id,
    supplier_id,
    supplier_code,
    unit_cost_cents,
    is_preferred,
    added_on,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_suppliers_products') }}
