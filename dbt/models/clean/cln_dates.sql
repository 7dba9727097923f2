{{ config(materialized='table') }}

{{ rows_of(source('raw', 'dates'), {
    'date_day': 'date',
    'year': 'bigint',
    'quarter': 'bigint',
    'month': 'bigint',
    'month_name': 'string',
    'week_of_year': 'bigint',
    'iso_year': 'bigint',
    'iso_week_start': 'date',
    'day_of_month': 'bigint',
    'days_in_month': 'bigint',
    'is_month_end': 'boolean',
    'day_of_week': 'bigint',
    'day_name': 'string',
    'is_weekend': 'boolean',
    'fiscal_year': 'bigint',
    'fiscal_quarter': 'bigint',
    'fiscal_month': 'bigint',
    'holiday_name': 'string',
    'is_holiday': 'boolean',
}) }}
