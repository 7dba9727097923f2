{{ config(materialized='table') }}

with deliveries as (

    select
        cast(channel_id as {{ dbt.type_bigint() }}) as channel_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(status as {{ dbt.type_string() }}) as status,
        cast(modified_at as {{ dbt.type_timestamp() }}) as modified_at,
        bgp_partition as log_partition
    from {{ source('raw', 'channels') }}

),

-- The source has no log: every partition holds every channel. A version is a state that was seen, whenever it was seen.
ranked as (

    select
        *,
        row_number() over (
            partition by channel_id, modified_at
            order by log_partition desc, name asc, status asc
        ) as delivery_rank
    from deliveries

)

select
    {{ surrogate_key(['channel_id', epoch_microseconds('modified_at')]) }} as channel_version_key,
    channel_id,
    name,
    status,
    modified_at
from ranked
where delivery_rank = 1
