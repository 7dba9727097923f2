{{ config(unit='order_date', rows=['fct_transactions']) }}

select
    order_date,
    transaction_type,
    count(*) as transaction_count,
    cast(sum(subtotal_cents) as {{ dbt.type_bigint() }}) as subtotal_cents,
    cast(sum(discount_cents) as {{ dbt.type_bigint() }}) as discount_cents,
    cast(sum(tax_cents) as {{ dbt.type_bigint() }}) as tax_cents,
    cast(sum(total_cents) as {{ dbt.type_bigint() }}) as total_cents
from {{ ref('fct_transactions') }}
where {{ in_touched('order_date') }}
group by order_date, transaction_type
