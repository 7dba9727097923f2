select
    customer_id,
    first_name,
    last_name,
    email,
    gender,
    street,
    city,
    province,
    postal_code,
    date_of_birth,
    signup_platform,
    status as customer_status,
    registered_at,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_customers') }}
