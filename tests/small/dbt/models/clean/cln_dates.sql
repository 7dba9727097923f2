{{ config(materialized='table') }}

select distinct
    cast(date_day as date) as date_day,
    cast(year as {{ dbt.type_bigint() }}) as year,
    cast(quarter as {{ dbt.type_bigint() }}) as quarter,
    cast(month as {{ dbt.type_bigint() }}) as month,
    cast(month_name as {{ dbt.type_string() }}) as month_name,
    cast(week_of_year as {{ dbt.type_bigint() }}) as week_of_year,
    cast(iso_year as {{ dbt.type_bigint() }}) as iso_year,
    cast(day_of_month as {{ dbt.type_bigint() }}) as day_of_month,
    cast(day_of_week as {{ dbt.type_bigint() }}) as day_of_week,
    cast(day_name as {{ dbt.type_string() }}) as day_name,
    cast(is_weekend as {{ dbt.type_boolean() }}) as is_weekend,
    cast(is_holiday as {{ dbt.type_boolean() }}) as is_holiday,
    cast(holiday_name as {{ dbt.type_string() }}) as holiday_name
from {{ source('raw', 'dates') }}
