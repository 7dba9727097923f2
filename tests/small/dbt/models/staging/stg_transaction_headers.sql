with headers as (

    select * from {{ ref('snp_transaction_headers') }}

)

select
    transaction_id,
    customer_id,
    channel_id,
    type as transaction_type,
    original_transaction_id,
    transaction_at,
    cast(transaction_at as date) as order_date,
    gross_subtotal_cents as subtotal_cents,
    total_discount_cents as discount_cents,
    total_tax_cents as tax_cents,
    total_cents,
    is_deleted,
    log_partition
from headers
