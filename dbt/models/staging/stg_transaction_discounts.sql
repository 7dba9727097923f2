select
    transaction_id,
    discount_number,
    promotion_id,
    line_number,
    discounted_units,
    amount_cents as discount_cents,
    is_deleted,
    log_partition
from {{ ref('snp_transaction_discounts') }}
