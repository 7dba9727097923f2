{{ config(
    unit='order_date',
    rows=['prep_transaction_discounts'],
    as_of=[
      {'history': 'dim_promotions_history', 'facts': 'prep_transaction_discounts', 'key': 'promotion_id', 'at': 'transaction_at'},
    ],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['promotion_id'],
) }}

with discounts as (

    select * from {{ ref('prep_transaction_discounts') }}
    where {{ in_touched('order_date') }}

),

promotions as (

    select * from {{ ref('dim_promotions_history') }}

)

select
    {{ surrogate_key(['discounts.transaction_id', 'discounts.discount_number']) }} as discount_key,
    discounts.transaction_id,
    discounts.discount_number,
    discounts.order_date,
    discounts.transaction_at,
    discounts.transaction_type,
    discounts.customer_id,
    discounts.channel_id,
    discounts.promotion_id,
    promotions.promotion_version_key,
    discounts.line_number,
    discounts.discounted_units,
    discounts.discount_cents
from discounts
left join promotions
    on discounts.promotion_id = promotions.promotion_id
    and discounts.transaction_at >= promotions.valid_from
    and discounts.transaction_at < {{ until('promotions.valid_to') }}
