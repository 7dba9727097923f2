{{ config(unit='customer_id', rows=['prep_transactions'], cluster_by=['customer_id']) }}

with months as (

    select
        customer_id,
        {{ month_of('order_date') }} as order_month,
        sum(case when transaction_type = 'Purchase' then 1 else 0 end) as purchases,
        sum(case when transaction_type = 'Return' then 1 else 0 end) as returns,
        min(case when transaction_type = 'Purchase' then order_date end) as first_purchase_on,
        max(case when transaction_type = 'Purchase' then order_date end) as last_purchase_on,
        sum(subtotal_cents) as subtotal_cents,
        sum(discount_cents) as discount_cents,
        sum(total_cents) as total_cents
    from {{ ref('prep_transactions') }}
    where
        {{ in_touched('customer_id') }}
        and customer_id is not null
    group by customer_id, order_month

)

select
    customer_id,
    order_month,
    {{ month_of('min(first_purchase_on) over (partition by customer_id)') }} as cohort_month,
    cast(purchases as {{ dbt.type_bigint() }}) as purchases,
    cast(returns as {{ dbt.type_bigint() }}) as returns,
    first_purchase_on,
    last_purchase_on,
    cast(subtotal_cents as {{ dbt.type_bigint() }}) as subtotal_cents,
    cast(discount_cents as {{ dbt.type_bigint() }}) as discount_cents,
    cast(total_cents as {{ dbt.type_bigint() }}) as total_cents
from months
