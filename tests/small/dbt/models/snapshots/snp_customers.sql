{{ config(unit='customer_id', rows=['cln_customers']) }}

with events as (

    select * from {{ ref('cln_customers') }}
    where {{ in_touched('customer_id') }}

),

-- Of states that hold from one moment on, the last one written counts.
ranked as (

    select
        *,
        row_number() over (partition by customer_id, valid_from order by change_sequence desc) as recency
    from events

),

versions as (

    select
        *,
        lead(valid_from) over (partition by customer_id order by valid_from) as valid_to
    from ranked
    where recency = 1

)

select
    customer_id,
    first_name,
    last_name,
    email,
    province,
    date_of_birth,
    status,
    registered_at,
    is_deleted,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    log_partition
from versions
