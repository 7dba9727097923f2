select
    promotion_group_id,
    name as promotion_group_name,
    group_type,
    category_id,
    status as promotion_group_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_promotion_groups') }}
