select
    transaction_id,
    line_number,
    product_id,
    quantity,
    unit_price_cents,
    gross_line_total_cents as line_total_cents,
    is_deleted,
    log_partition
from {{ ref('snp_transaction_lines') }}
