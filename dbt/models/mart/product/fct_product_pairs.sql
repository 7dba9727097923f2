{{ config(
    unit='order_month',
    rows=[{'ref': 'prep_transaction_lines', 'unit': month_of('order_date')}],
    partition_by={'field': 'order_month', 'data_type': 'date', 'granularity': 'month'},
    cluster_by=['product_id'],
) }}

with baskets as (

    select distinct
        {{ month_of('order_date') }} as order_month,
        transaction_id,
        product_id
    from {{ ref('prep_transaction_lines') }}
    where
        {{ in_touched(month_of('order_date')) }}
        and transaction_type = 'Purchase'
        and product_id is not null

),

products as (

    select
        order_month,
        product_id,
        count(*) as transactions
    from baskets
    group by order_month, product_id

),

months as (

    select
        order_month,
        count(distinct transaction_id) as transactions
    from baskets
    group by order_month

),

pairs as (

    select
        baskets.order_month,
        baskets.product_id,
        others.product_id as other_product_id,
        count(*) as transactions
    from baskets
    inner join baskets as others
        on baskets.transaction_id = others.transaction_id
        and baskets.order_month = others.order_month
        and baskets.product_id < others.product_id
    group by baskets.order_month, baskets.product_id, others.product_id
    having count(*) > 1

)

select
    {{ surrogate_key(['pairs.order_month', 'pairs.product_id', 'pairs.other_product_id']) }} as product_pair_key,
    pairs.order_month,
    pairs.product_id,
    pairs.other_product_id,
    pairs.transactions as joint_transactions,
    products.transactions as product_transactions,
    other_products.transactions as other_product_transactions,
    months.transactions as month_transactions,
    cast(
        {{ whole_part(
            '100 * pairs.transactions * months.transactions', 'products.transactions * other_products.transactions'
        ) }} as {{ dbt.type_bigint() }}
    ) as lift_hundredths
from pairs
inner join products
    on pairs.order_month = products.order_month
    and pairs.product_id = products.product_id
inner join products as other_products
    on pairs.order_month = other_products.order_month
    and pairs.other_product_id = other_products.product_id
inner join months
    on pairs.order_month = months.order_month
