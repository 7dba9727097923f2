{{ config(
    materialized='incremental',
    unique_key='packed_on',
    partition_by={'field': 'packed_on', 'data_type': 'date'},
    cluster_by=['article_count'],
) }}

select
    parcels.packed_on,
    count(distinct parcels.parcel_id) as parcel_count,
    count(distinct parcel_lines.article) as article_count
from {{ source('raw', 'parcels') }} as parcels
inner join {{ ref('parcels') }} as published on published.parcel_id = parcels.parcel_id
left join {{ ref('parcel_lines') }} as parcel_lines on parcel_lines.parcel_id = parcels.parcel_id
where parcels.packed_on is not null
group by parcels.packed_on
