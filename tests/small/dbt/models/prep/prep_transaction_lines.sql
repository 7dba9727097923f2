{{ config(
    unit='transaction_id',
    rows=['stg_transaction_headers', 'stg_transaction_lines'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['transaction_id'],
) }}

with headers as (

    select * from {{ ref('stg_transaction_headers') }}
    where {{ in_touched('transaction_id') }}

),

lines as (

    select * from {{ ref('stg_transaction_lines') }}
    where {{ in_touched('transaction_id') }}

)

select
    lines.transaction_id,
    lines.line_number,
    headers.order_date,
    headers.transaction_at,
    headers.transaction_type,
    headers.original_transaction_id,
    headers.customer_id,
    headers.channel_id,
    lines.product_id,
    lines.quantity,
    lines.unit_price_cents,
    lines.line_total_cents,
    headers.log_partition as header_log_partition,
    lines.log_partition as line_log_partition
from lines
inner join headers
    on lines.transaction_id = headers.transaction_id
where
    not headers.is_deleted
    and not lines.is_deleted
