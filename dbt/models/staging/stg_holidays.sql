{{ config(materialized='view') }}

select
    date_day,
    country,
    subdivision,
    name as holiday_name
from {{ ref('cln_holidays') }}
