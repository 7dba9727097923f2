{{ config(unit='transaction_id', rows=['cln_transaction_lines']) }}

with events as (

    select * from {{ ref('cln_transaction_lines') }}
    where {{ in_touched('transaction_id') }}

),

ranked as (

    select
        *,
        row_number() over (partition by transaction_id, line_number order by change_sequence desc) as recency
    from events

)

select
    transaction_id,
    line_number,
    product_id,
    quantity,
    unit_price_cents,
    gross_line_total_cents,
    is_deleted,
    log_partition
from ranked
where recency = 1
