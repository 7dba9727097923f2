select
    product_id,
    author_id,
    role as author_role,
    added_on,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_authors_products') }}
