with versions as (

    select * from {{ ref('snp_customers') }}

)

select
    customer_id,
    first_name,
    last_name,
    email,
    province,
    date_of_birth,
    status as customer_status,
    registered_at,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from versions
