{{ config(materialized='table', cluster_by=['product_id']) }}

with categories as (

    select
        category_id,
        parent_category_id,
        valid_from,
        {{ until('valid_to') }} as valid_until
    from {{ ref('stg_categories') }}
    where not is_deleted

),

-- A category and what stands above it, for as long as it does. The tree has three levels.
above as (

    select
        category_id,
        category_id as above_category_id,
        valid_from,
        valid_until
    from categories

    union all

    select
        child.category_id,
        parent.category_id as above_category_id,
        greatest(child.valid_from, parent.valid_from) as valid_from,
        least(child.valid_until, parent.valid_until) as valid_until
    from categories as child
    inner join categories as parent
        on child.parent_category_id = parent.category_id
        and child.valid_from < parent.valid_until
        and child.valid_until > parent.valid_from

    union all

    select
        child.category_id,
        grandparent.category_id as above_category_id,
        greatest(child.valid_from, parent.valid_from, grandparent.valid_from) as valid_from,
        least(child.valid_until, parent.valid_until, grandparent.valid_until) as valid_until
    from categories as child
    inner join categories as parent
        on child.parent_category_id = parent.category_id
        and child.valid_from < parent.valid_until
        and child.valid_until > parent.valid_from
    inner join categories as grandparent
        on parent.parent_category_id = grandparent.category_id
        and greatest(child.valid_from, parent.valid_from) < grandparent.valid_until
        and least(child.valid_until, parent.valid_until) > grandparent.valid_from

),

promotion_groups as (

    select
        promotion_group_id,
        group_type,
        category_id,
        valid_from,
        {{ until('valid_to') }} as valid_until
    from {{ ref('stg_promotion_groups') }}
    where not is_deleted

),

listed as (

    select
        promotion_group_id,
        product_id,
        valid_from,
        {{ until('valid_to') }} as valid_until
    from {{ ref('stg_promotion_groups_products') }}
    where not is_deleted

),

filed as (

    select
        category_id,
        product_id,
        valid_from,
        {{ until('valid_to') }} as valid_until
    from {{ ref('stg_categories_products') }}
    where not is_deleted

),

stretches as (

    select
        listed.product_id,
        promotion_groups.promotion_group_id,
        greatest(promotion_groups.valid_from, listed.valid_from) as valid_from,
        least(promotion_groups.valid_until, listed.valid_until) as valid_until
    from promotion_groups
    inner join listed
        on promotion_groups.promotion_group_id = listed.promotion_group_id
        and promotion_groups.valid_from < listed.valid_until
        and promotion_groups.valid_until > listed.valid_from
    where promotion_groups.group_type = 'Custom'

    union all

    select
        filed.product_id,
        promotion_groups.promotion_group_id,
        greatest(promotion_groups.valid_from, above.valid_from, filed.valid_from) as valid_from,
        least(promotion_groups.valid_until, above.valid_until, filed.valid_until) as valid_until
    from promotion_groups
    inner join above
        on promotion_groups.category_id = above.above_category_id
        and promotion_groups.valid_from < above.valid_until
        and promotion_groups.valid_until > above.valid_from
    inner join filed
        on above.category_id = filed.category_id
        and greatest(promotion_groups.valid_from, above.valid_from) < filed.valid_until
        and least(promotion_groups.valid_until, above.valid_until) > filed.valid_from
    where promotion_groups.group_type = 'Category'

),

-- Stretches that meet or overlap become one: a product may be in a group by two categories, and a category be renamed
-- meanwhile.
marked as (

    select
        *,
        max(valid_until) over (
            partition by product_id, promotion_group_id
            order by valid_from, valid_until
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from stretches

),

numbered as (

    select
        *,
        sum(case when covered_until >= valid_from then 0 else 1 end) over (
            partition by product_id, promotion_group_id
            order by valid_from, valid_until
            rows between unbounded preceding and current row
        ) as island
    from marked

),

islands as (

    select
        product_id,
        promotion_group_id,
        min(valid_from) as valid_from,
        max(valid_until) as valid_until
    from numbered
    group by product_id, promotion_group_id, island

)

select
    {{ surrogate_key(['product_id', 'promotion_group_id', epoch_microseconds('valid_from')]) }}
        as product_promotion_group_key,
    product_id,
    promotion_group_id,
    valid_from,
    nullif(valid_until, {{ end_of_time() }}) as valid_to,
    valid_until = {{ end_of_time() }} as is_current
from islands
