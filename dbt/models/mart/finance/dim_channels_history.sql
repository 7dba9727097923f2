{{ config(materialized='table') }}

select
    channel_version_key,
    channel_id,
    channel_name,
    channel_status,
    valid_from,
    valid_to,
    is_current
from {{ ref('stg_channels') }}
