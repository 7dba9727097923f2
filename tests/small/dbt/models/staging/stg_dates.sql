{{ config(materialized='view') }}

select * from {{ ref('cln_dates') }}
