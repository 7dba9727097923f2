select
    product_id,
    category_id,
    is_primary,
    added_on,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_categories_products') }}
