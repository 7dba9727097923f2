{{ config(materialized='table') }}

{{ rows_of(source('raw', 'holidays'), {
    'date_day': 'date',
    'country': 'string',
    'subdivision': 'string',
    'name': 'string',
}) }}
