select
    payment_type_id,
    name as payment_type_name,
    kind as payment_type_kind,
    status as payment_type_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_payment_types') }}
