{{ config(materialized='incremental', incremental_strategy='append') }}

select
    lines.order_key,
    lines.line_number,
    lines.ship_date,
    lines.receipt_date,
    lines.commit_date,
    modes.carrier
from {{ ref('stg_lines') }} as lines
left join {{ ref('ship_modes') }} as modes on lines.ship_mode = modes.ship_mode
where lines.receipt_date > lines.commit_date

{% if is_incremental() %}
  and lines.ship_date > (select coalesce(max(ship_date), date '1900-01-01') from {{ this }})
{% endif %}
