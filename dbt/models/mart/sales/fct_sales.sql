{{ config(
    unit='order_date',
    rows=['prep_transaction_lines'],
    as_of=[
      {'history': 'dim_customers_history', 'facts': 'prep_transaction_lines', 'key': 'customer_id', 'at': 'transaction_at'},
      {'history': 'dim_products_history', 'facts': 'prep_transaction_lines', 'key': 'product_id', 'at': 'transaction_at'},
    ],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['product_id', 'customer_id'],
) }}

with lines as (

    select * from {{ ref('prep_transaction_lines') }}
    where {{ in_touched('order_date') }}

),

customers as (

    select * from {{ ref('dim_customers_history') }}

),

products as (

    select * from {{ ref('dim_products_history') }}

)

select
    {{ surrogate_key(['lines.transaction_id', 'lines.line_number']) }} as sale_key,
    lines.transaction_id,
    lines.line_number,
    lines.order_date,
    lines.transaction_at,
    lines.transaction_type,
    lines.customer_id,
    customers.customer_version_key,
    lines.product_id,
    products.product_version_key,
    lines.channel_id,
    lines.quantity,
    lines.unit_price_cents,
    lines.line_total_cents,
    lines.line_discount_cents,
    lines.order_discount_cents,
    lines.net_cents,
    lines.tax_cents,
    lines.total_cents,
    lines.quantity * products.cost_price_cents as line_cost_cents
from lines
left join customers
    on lines.customer_id = customers.customer_id
    and lines.transaction_at >= customers.valid_from
    and lines.transaction_at < {{ until('customers.valid_to') }}
left join products
    on lines.product_id = products.product_id
    and lines.transaction_at >= products.valid_from
    and lines.transaction_at < {{ until('products.valid_to') }}
