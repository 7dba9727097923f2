{{ config(
    unit='transaction_id',
    rows=['prep_transaction_lines', 'prep_transaction_discounts'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['transaction_id'],
) }}

with lines as (

    select * from {{ ref('prep_transaction_lines') }}
    where {{ in_touched('transaction_id') }}

),

discounts as (

    select * from {{ ref('prep_transaction_discounts') }}
    where {{ in_touched('transaction_id') }}

),

-- The cents that discounts of the order took off, counted through: those that went to a line, and those that a discount
-- gave, are a stretch of them each. A discount has given to a line what their stretches share.
of_lines as (

    select
        transaction_id,
        line_number,
        product_id,
        sign(order_discount_cents) as direction,
        sum(abs(order_discount_cents)) over (partition by transaction_id order by line_number) as until_cent,
        abs(order_discount_cents) as cents
    from lines
    where order_discount_cents <> 0

),

of_orders as (

    select
        transaction_id,
        discount_number,
        order_date,
        transaction_at,
        promotion_id,
        sum(abs(discount_cents)) over (partition by transaction_id order by discount_number) as until_cent,
        abs(discount_cents) as cents
    from discounts
    where line_number is null

),

placed as (

    select
        of_orders.transaction_id,
        of_orders.discount_number,
        of_lines.line_number,
        of_orders.order_date,
        of_orders.transaction_at,
        of_lines.product_id,
        of_orders.promotion_id,
        true as is_of_order,
        of_lines.direction * (
            least(of_lines.until_cent, of_orders.until_cent)
            - greatest(of_lines.until_cent - of_lines.cents, of_orders.until_cent - of_orders.cents)
        ) as discount_cents
    from of_orders
    inner join of_lines
        on of_orders.transaction_id = of_lines.transaction_id
        and of_orders.until_cent > of_lines.until_cent - of_lines.cents
        and of_lines.until_cent > of_orders.until_cent - of_orders.cents

    union all

    select
        discounts.transaction_id,
        discounts.discount_number,
        discounts.line_number,
        discounts.order_date,
        discounts.transaction_at,
        lines.product_id,
        discounts.promotion_id,
        false as is_of_order,
        discounts.discount_cents
    from discounts
    inner join lines
        on discounts.transaction_id = lines.transaction_id
        and discounts.line_number = lines.line_number

)

select
    transaction_id,
    discount_number,
    line_number,
    order_date,
    transaction_at,
    product_id,
    promotion_id,
    is_of_order,
    cast(discount_cents as {{ dbt.type_bigint() }}) as discount_cents
from placed
