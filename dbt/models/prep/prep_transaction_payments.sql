{{ config(
    unit='transaction_id',
    rows=['prep_transactions', 'stg_transaction_payments'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['transaction_id'],
) }}

with headers as (

    select * from {{ ref('prep_transactions') }}
    where {{ in_touched('transaction_id') }}

),

payments as (

    select * from {{ ref('stg_transaction_payments') }}
    where
        {{ in_touched('transaction_id') }}
        and not is_deleted

)

select
    payments.transaction_id,
    payments.payment_number,
    headers.order_date,
    headers.transaction_at,
    headers.transaction_type,
    headers.customer_id,
    headers.channel_id,
    payments.payment_type_id,
    payments.amount_cents,
    payments.log_partition
from payments
inner join headers
    on payments.transaction_id = headers.transaction_id
