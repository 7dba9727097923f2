{{ config(materialized='ephemeral') }}
select guest_id, full_name from {{ source('till', 'guests') }}
