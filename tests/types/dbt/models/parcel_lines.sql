{#- Both warehouses unnest alike, and name the element each in its own way. -#}
select
    parcel_id,
    line.article as article,
    line.price as price,
    {{ "json_value(line.note, '$.k')" if target.type == 'bigquery' else "line.note ->> '$.k'" }} as note,
    discount.percent as percent,
    discount.until as until
from {{ source('raw', 'parcels') }}
{%- if target.type == 'bigquery' %}, unnest(lines) as line, unnest(line.discounts) as discount
{%- else %}, unnest(lines) as lines (line), unnest(line.discounts) as discounts (discount)
{%- endif %}
