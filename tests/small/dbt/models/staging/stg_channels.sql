{{ config(materialized='view') }}

with versions as (

    select
        channel_version_key,
        channel_id,
        name,
        status,
        modified_at,
        lead(modified_at) over (partition by channel_id order by modified_at) as next_modified_at
    from {{ ref('snp_channels') }}

)

select
    channel_version_key,
    channel_id,
    name as channel_name,
    status as channel_status,
    modified_at as valid_from,
    next_modified_at as valid_to,
    next_modified_at is null as is_current
from versions
