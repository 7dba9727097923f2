{{ config(unit='customer_id', rows=['dim_customers_history']) }}

select
    customer_id,
    customer_version_key,
    first_name,
    last_name,
    email,
    province,
    date_of_birth,
    customer_status,
    registered_at,
    is_deleted,
    valid_from as current_since
from {{ ref('dim_customers_history') }}
where
    {{ in_touched('customer_id') }}
    and is_current
