{{ config(materialized='incremental', unique_key='guest_id') }}
select history.guest_id, history.full_name, max(visits.seen_at) as last_seen_at
from {{ ref('guests_history') }} as history
inner join {{ ref('stg_visits') }} as visits on history.guest_id = visits.guest_id
where history.dbt_valid_to is null
group by history.guest_id, history.full_name
