{{ config(unit='customer_id', rows=['raw.customers'], cluster_by=['customer_id']) }}

with events as (

    select * from {{ source('raw', 'customers') }}
    where {{ in_touched('customer_id') }}

),

typed as (

    select
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(first_name as {{ dbt.type_string() }}) as first_name,
        cast(last_name as {{ dbt.type_string() }}) as last_name,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(province as {{ dbt.type_string() }}) as province,
        cast(date_of_birth as date) as date_of_birth,
        cast(status as {{ dbt.type_string() }}) as status,
        cast(registered_at as {{ dbt.type_timestamp() }}) as registered_at,
        cast(is_deleted as {{ dbt.type_boolean() }}) as is_deleted,
        cast(valid_from as {{ dbt.type_timestamp() }}) as valid_from,
        cast(changed_at as {{ dbt.type_timestamp() }}) as changed_at,
        cast(change_sequence as {{ dbt.type_bigint() }}) as change_sequence,
        cast(operation as {{ dbt.type_string() }}) as operation,
        bgp_partition as log_partition
    from events

)

-- An event that was delivered more than once is one event, of the first partition that has it.
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
    changed_at,
    change_sequence,
    operation,
    min(log_partition) as log_partition
from typed
group by
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
    changed_at,
    change_sequence,
    operation
