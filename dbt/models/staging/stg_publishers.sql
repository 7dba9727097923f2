select
    publisher_id,
    name as publisher_name,
    country,
    website,
    status as publisher_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_publishers') }}
