{{ config(materialized='table') }}

select
    {{ surrogate_key(['date_day', 'country', 'subdivision']) }} as holiday_key,
    date_day,
    country,
    subdivision,
    holiday_name
from {{ ref('stg_holidays') }}
