{{ config(
    materialized='table',
    partition_by={'field': 'day', 'data_type': 'date', 'granularity': 'month'},
    cluster_by=['item'],
    labels={'made_by': 'dbt'},
) }}
select date '2025-08-01' as day, item, price from {{ ref('prices') }}
