{{ config(materialized='table') }}

select
    channel_id,
    channel_version_key,
    channel_name,
    channel_status,
    valid_from as current_since
from {{ ref('dim_channels_history') }}
where is_current
