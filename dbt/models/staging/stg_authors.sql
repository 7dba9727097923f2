select
    author_id,
    name as author_name,
    country,
    status as author_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_authors') }}
