{{ config(materialized='incremental', unique_key='item', incremental_strategy='merge') }}
select item, price + {{ var('added', 0) }} as price from {{ ref('as_table') }}
{% if is_incremental() %} where item = 'apple' {% endif %}
