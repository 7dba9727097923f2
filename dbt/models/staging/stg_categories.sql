select
    category_id,
    parent_category_id,
    name as category_name,
    level as category_level,
    status as category_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_categories') }}
