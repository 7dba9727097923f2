{{ config(
    unit='order_date',
    rows=['prep_transaction_payments'],
    as_of=[
      {'history': 'dim_payment_types_history', 'facts': 'prep_transaction_payments', 'key': 'payment_type_id', 'at': 'transaction_at'},
    ],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['payment_type_id'],
) }}

with payments as (

    select * from {{ ref('prep_transaction_payments') }}
    where {{ in_touched('order_date') }}

),

payment_types as (

    select * from {{ ref('dim_payment_types_history') }}

)

select
    {{ surrogate_key(['payments.transaction_id', 'payments.payment_number']) }} as payment_key,
    payments.transaction_id,
    payments.payment_number,
    payments.order_date,
    payments.transaction_at,
    payments.transaction_type,
    payments.customer_id,
    payments.channel_id,
    payments.payment_type_id,
    payment_types.payment_type_version_key,
    payments.amount_cents
from payments
left join payment_types
    on payments.payment_type_id = payment_types.payment_type_id
    and payments.transaction_at >= payment_types.valid_from
    and payments.transaction_at < {{ until('payment_types.valid_to') }}
