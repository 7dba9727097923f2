{{ config(
    unit='order_date',
    rows=['prep_transaction_lines'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
) }}

select
    order_date,
    product_id,
    count(*) as line_count,
    cast(sum(quantity) as {{ dbt.type_bigint() }}) as units,
    cast(sum(net_cents) as {{ dbt.type_bigint() }}) as net_cents
from {{ ref('prep_transaction_lines') }}
where
    {{ in_touched('order_date') }}
    and transaction_type = 'Purchase'
group by order_date, product_id
