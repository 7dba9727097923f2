select
    product_id,
    promotion_group_id,
    added_on,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_promotion_groups_products') }}
