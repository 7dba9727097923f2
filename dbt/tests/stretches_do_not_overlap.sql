-- A product is in a promotion group once at a time, and of two stretches the later one begins after the earlier one has
-- ended.
select *
from (
    select
        product_id,
        promotion_group_id,
        valid_from,
        valid_to,
        lead(valid_from) over (partition by product_id, promotion_group_id order by valid_from) as next_from
    from {{ ref('brg_product_promotion_group_history') }}
) as stretches
where next_from is not null and (valid_to is null or valid_to >= next_from)
