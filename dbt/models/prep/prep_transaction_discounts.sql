{{ config(
    unit='transaction_id',
    rows=['prep_transactions', 'stg_transaction_discounts'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['transaction_id'],
) }}

with headers as (

    select * from {{ ref('prep_transactions') }}
    where {{ in_touched('transaction_id') }}

),

discounts as (

    select * from {{ ref('stg_transaction_discounts') }}
    where
        {{ in_touched('transaction_id') }}
        and not is_deleted

)

select
    discounts.transaction_id,
    discounts.discount_number,
    headers.order_date,
    headers.transaction_at,
    headers.transaction_type,
    headers.customer_id,
    headers.channel_id,
    discounts.promotion_id,
    discounts.line_number,
    discounts.discounted_units,
    discounts.discount_cents,
    discounts.log_partition
from discounts
inner join headers
    on discounts.transaction_id = headers.transaction_id
