{{ config(unit='cohort_month', rows=['prep_customer_months']) }}

with months as (

    select * from {{ ref('prep_customer_months') }}
    where
        {{ in_touched('cohort_month') }}
        and cohort_month is not null

),

sizes as (

    select
        cohort_month,
        count(distinct customer_id) as cohort_customers
    from months
    group by cohort_month

),

active as (

    select
        cohort_month,
        order_month,
        sum(case when purchases > 0 then 1 else 0 end) as active_customers,
        sum(purchases) as purchases,
        sum(total_cents) as total_cents
    from months
    group by cohort_month, order_month

)

select
    active.cohort_month,
    active.order_month,
    12 * (extract(year from active.order_month) - extract(year from active.cohort_month))
    + extract(month from active.order_month) - extract(month from active.cohort_month) as months_since,
    sizes.cohort_customers,
    cast(active.active_customers as {{ dbt.type_bigint() }}) as active_customers,
    cast(
        {{ basis_points('active.active_customers', 'sizes.cohort_customers') }} as {{ dbt.type_bigint() }}
    ) as retention_basis_points,
    cast(active.purchases as {{ dbt.type_bigint() }}) as purchases,
    cast(active.total_cents as {{ dbt.type_bigint() }}) as total_cents
from active
inner join sizes
    on active.cohort_month = sizes.cohort_month
