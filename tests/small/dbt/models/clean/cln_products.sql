{{ config(unit='product_id', rows=['raw.products']) }}

with events as (

    select * from {{ source('raw', 'products') }}
    where {{ in_touched('product_id') }}

),

typed as (

    select
        cast(product_id as {{ dbt.type_bigint() }}) as product_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(unit_price_cents as {{ dbt.type_bigint() }}) as unit_price_cents,
        cast(cost_price_cents as {{ dbt.type_bigint() }}) as cost_price_cents,
        cast(status as {{ dbt.type_string() }}) as status,
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
    product_id,
    name,
    unit_price_cents,
    cost_price_cents,
    status,
    is_deleted,
    valid_from,
    changed_at,
    change_sequence,
    operation,
    min(log_partition) as log_partition
from typed
group by
    product_id,
    name,
    unit_price_cents,
    cost_price_cents,
    status,
    is_deleted,
    valid_from,
    changed_at,
    change_sequence,
    operation
