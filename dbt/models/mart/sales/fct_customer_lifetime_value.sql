{{ config(unit='customer_id', rows=['prep_customer_months'], cluster_by=['customer_id']) }}

select
    customer_id,
    min(cohort_month) as cohort_month,
    min(first_purchase_on) as first_purchase_on,
    max(last_purchase_on) as last_purchase_on,
    count(*) as active_months,
    cast(sum(purchases) as {{ dbt.type_bigint() }}) as purchases,
    cast(sum(returns) as {{ dbt.type_bigint() }}) as returns,
    cast(sum(subtotal_cents) as {{ dbt.type_bigint() }}) as subtotal_cents,
    cast(sum(discount_cents) as {{ dbt.type_bigint() }}) as discount_cents,
    cast(sum(subtotal_cents - discount_cents) as {{ dbt.type_bigint() }}) as net_cents,
    cast(sum(total_cents) as {{ dbt.type_bigint() }}) as total_cents
from {{ ref('prep_customer_months') }}
where {{ in_touched('customer_id') }}
group by customer_id
