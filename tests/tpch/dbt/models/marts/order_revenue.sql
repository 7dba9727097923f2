{{ config(materialized='incremental', unique_key='order_key', incremental_strategy='delete+insert') }}

with orders as (

    select * from {{ ref('stg_orders') }}

),

shipped as (

    select
        order_key,
        count(*) as shipped_lines,
        sum(revenue) as revenue,
        max(ship_date) as last_ship_date
    from {{ ref('stg_lines') }}
    group by order_key

)

select
    orders.order_key,
    orders.customer_key,
    orders.order_date,
    orders.total_price,
    coalesce(shipped.shipped_lines, 0) as shipped_lines,
    coalesce(shipped.revenue, 0) as revenue,
    shipped.last_ship_date
from orders
left join shipped on orders.order_key = shipped.order_key

{% if is_incremental() %}
where orders.order_date >= (select max(order_date) from {{ this }})
   or shipped.last_ship_date >= (select max(last_ship_date) from {{ this }})
{% endif %}
