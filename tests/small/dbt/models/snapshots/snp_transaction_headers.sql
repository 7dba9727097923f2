{{ config(unit='transaction_id', rows=['cln_transaction_headers']) }}

with events as (

    select * from {{ ref('cln_transaction_headers') }}
    where {{ in_touched('transaction_id') }}

),

ranked as (

    select
        *,
        row_number() over (partition by transaction_id order by change_sequence desc) as recency
    from events

)

select
    transaction_id,
    customer_id,
    channel_id,
    type,
    original_transaction_id,
    transaction_at,
    gross_subtotal_cents,
    total_discount_cents,
    total_tax_cents,
    total_cents,
    is_deleted,
    log_partition
from ranked
where recency = 1
