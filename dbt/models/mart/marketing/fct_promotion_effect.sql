{{ config(materialized='table') }}

-- Units of the products that a promotion is for, while it ran and in the 28 days before, beside all units of the same
-- days: a season lifts both. Only days that have sales count.
with sales as (

    select * from {{ ref('prep_daily_product_sales') }}

),

days as (

    select
        order_date,
        sum(units) as units
    from sales
    group by order_date

),

promotions as (

    select
        promotion_id,
        promotion_code,
        promotion_group_id,
        cast(starts_at as date) as starts_on,
        cast(ends_at as date) as ends_on
    from {{ ref('dim_promotions') }}
    where not is_deleted and promotion_status <> 'cancelled'

),

members as (

    select distinct
        promotion_group_id,
        product_id
    from {{ ref('brg_product_promotion_group_history') }}
    where is_current

),

promotion_days as (

    select
        promotions.promotion_id,
        promotions.promotion_group_id,
        days.order_date,
        days.units as all_units,
        days.order_date >= promotions.starts_on as is_during
    from promotions
    inner join days
        on promotions.starts_on - 28 <= days.order_date
        and promotions.ends_on > days.order_date

),

units_of_groups as (

    select
        members.promotion_group_id,
        sales.order_date,
        sum(sales.units) as units
    from sales
    inner join members
        on sales.product_id = members.product_id
    group by members.promotion_group_id, sales.order_date

),

measured as (

    select
        promotion_days.promotion_id,
        promotion_days.is_during,
        promotion_days.all_units,
        case
            when promotion_days.promotion_group_id is null then promotion_days.all_units
            else coalesce(units_of_groups.units, 0)
        end as units
    from promotion_days
    left join units_of_groups
        on promotion_days.promotion_group_id = units_of_groups.promotion_group_id
        and promotion_days.order_date = units_of_groups.order_date

),

summed as (

    select
        promotion_id,
        sum(case when is_during then 1 else 0 end) as days_during,
        sum(case when is_during then 0 else 1 end) as days_before,
        sum(case when is_during then units else 0 end) as units_during,
        sum(case when is_during then 0 else units end) as units_before,
        sum(case when is_during then all_units else 0 end) as all_units_during,
        sum(case when is_during then 0 else all_units end) as all_units_before
    from measured
    group by promotion_id

),

discounts as (

    select
        promotion_id,
        count(distinct transaction_id) as discounted_transactions,
        sum(discount_cents) as discount_cents
    from {{ ref('fct_discounts') }}
    where transaction_type = 'Purchase'
    group by promotion_id

)

select
    promotions.promotion_id,
    promotions.promotion_code,
    promotions.promotion_group_id,
    promotions.starts_on,
    promotions.ends_on,
    cast(coalesce(summed.days_during, 0) as {{ dbt.type_bigint() }}) as days_during,
    cast(coalesce(summed.days_before, 0) as {{ dbt.type_bigint() }}) as days_before,
    cast(coalesce(summed.units_during, 0) as {{ dbt.type_bigint() }}) as units_during,
    cast(coalesce(summed.units_before, 0) as {{ dbt.type_bigint() }}) as units_before,
    cast(coalesce(summed.all_units_during, 0) as {{ dbt.type_bigint() }}) as all_units_during,
    cast(coalesce(summed.all_units_before, 0) as {{ dbt.type_bigint() }}) as all_units_before,
    cast({{ basis_points('summed.units_during', 'summed.all_units_during') }} as {{ dbt.type_bigint() }})
        as share_during_basis_points,
    cast({{ basis_points('summed.units_before', 'summed.all_units_before') }} as {{ dbt.type_bigint() }})
        as share_before_basis_points,
    cast(
        {{ basis_points('summed.units_during * summed.days_before', 'summed.units_before * summed.days_during') }}
        as {{ dbt.type_bigint() }}
    ) as daily_units_basis_points,
    coalesce(discounts.discounted_transactions, 0) as discounted_transactions,
    cast(coalesce(discounts.discount_cents, 0) as {{ dbt.type_bigint() }}) as discount_cents
from promotions
left join summed
    on promotions.promotion_id = summed.promotion_id
left join discounts
    on promotions.promotion_id = discounts.promotion_id
