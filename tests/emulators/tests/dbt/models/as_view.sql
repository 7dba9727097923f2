{{ config(materialized='view') }}
select item, price * 2 as twice from {{ ref('as_table') }}
