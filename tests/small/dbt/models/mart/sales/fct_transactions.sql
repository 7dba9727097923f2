{{ config(
    unit='order_date',
    rows=['prep_transactions'],
    as_of=[
      {'history': 'dim_customers_history', 'facts': 'prep_transactions', 'key': 'customer_id', 'at': 'transaction_at'},
    ],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['customer_id'],
) }}

with transactions as (

    select * from {{ ref('prep_transactions') }}
    where {{ in_touched('order_date') }}

),

customers as (

    select * from {{ ref('dim_customers_history') }}

)

select
    transactions.transaction_id,
    transactions.order_date,
    transactions.transaction_at,
    transactions.transaction_type,
    transactions.original_transaction_id,
    transactions.customer_id,
    customers.customer_version_key,
    transactions.channel_id,
    transactions.subtotal_cents,
    transactions.discount_cents,
    transactions.tax_cents,
    transactions.total_cents
from transactions
left join customers
    on transactions.customer_id = customers.customer_id
    and transactions.transaction_at >= customers.valid_from
    and transactions.transaction_at < {{ until('customers.valid_to') }}
