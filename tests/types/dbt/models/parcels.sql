{#- JSON and shapes are published as text: what their own types look like is a matter of each warehouse. -#}
{%- set is_bigquery = target.type == 'bigquery' -%}
select
    parcel_id,
    weight,
    label,
    packed_on,
    packed_at,
    pick_up,
    sent_at,
    {{ 'to_json_string(payload)' if is_bigquery else 'cast(payload as varchar)' }} as payload,
    replace({{ 'st_astext(place)' if is_bigquery else 'place' }}, ' (', '(') as place,
    is_fragile,
    insured,
    tags,
    sender.name as sender_name,
    coalesce(sender.phones, []) as sender_phones,
    sender.home.city as sender_city,
    array_length(lines) as line_count,
    changed_at,
    change_sequence
from {{ source('raw', 'parcels') }}
