select
    product_id,
    publisher_id,
    region,
    added_on,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_publishers_products') }}
