select
    transaction_id,
    payment_number,
    payment_type_id,
    amount_cents,
    is_deleted,
    log_partition
from {{ ref('snp_transaction_payments') }}
