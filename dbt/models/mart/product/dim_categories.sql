{{ config(materialized='table') }}

with current_versions as (

    select * from {{ ref('dim_categories_history') }}
    where is_current

)

select
    own.category_id,
    own.category_version_key,
    own.category_name,
    own.category_level,
    own.category_status,
    own.parent_category_id,
    parent.category_name as parent_category_name,
    coalesce(grandparent.category_name, parent.category_name, own.category_name) as root_category_name,
    coalesce(grandparent.category_name || ' > ', '') || coalesce(parent.category_name || ' > ', '') || own.category_name
        as category_path,
    own.is_deleted,
    own.valid_from as current_since
from current_versions as own
left join current_versions as parent
    on own.parent_category_id = parent.category_id
left join current_versions as grandparent
    on parent.parent_category_id = grandparent.category_id
