{{ config(materialized='table', cluster_by=['customer_id']) }}

-- Silence is counted to the newest day that has a purchase, not to today: the same data give the same answer whenever
-- they are asked.
with customers as (

    select * from {{ ref('fct_customer_lifetime_value') }}
    where purchases > 0

),

newest as (

    select max(last_purchase_on) as observed_on
    from customers

),

measured as (

    select
        customers.customer_id,
        customers.cohort_month,
        customers.purchases,
        customers.last_purchase_on,
        newest.observed_on,
        {{ days_between('customers.last_purchase_on', 'newest.observed_on') }} as silent_days,
        {{ days_between('customers.first_purchase_on', 'customers.last_purchase_on') }} as buying_days
    from customers
    cross join newest

),

paced as (

    select
        *,
        case when purchases > 1 then {{ whole_part('buying_days', 'nullif(purchases - 1, 0)') }} end as mean_gap_days
    from measured

)

select
    customer_id,
    cohort_month,
    purchases,
    last_purchase_on,
    observed_on,
    silent_days,
    mean_gap_days,
    silent_days > greatest(30, 3 * coalesce(mean_gap_days, 20)) as is_churned
from paced
