{{ config(unit='customer_id', rows=['stg_customers']) }}

select
    {{ surrogate_key(['customer_id', epoch_microseconds('valid_from')]) }} as customer_version_key,
    customer_id,
    first_name,
    last_name,
    email,
    province,
    date_of_birth,
    customer_status,
    registered_at,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('stg_customers') }}
where {{ in_touched('customer_id') }}
