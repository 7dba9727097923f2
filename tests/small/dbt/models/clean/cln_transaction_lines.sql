{{ config(unit='transaction_id', rows=['raw.transaction_lines'], cluster_by=['transaction_id']) }}

with events as (

    select * from {{ source('raw', 'transaction_lines') }}
    where {{ in_touched('transaction_id') }}

),

typed as (

    select
        cast(transaction_id as {{ dbt.type_string() }}) as transaction_id,
        cast(line_number as {{ dbt.type_bigint() }}) as line_number,
        cast(product_id as {{ dbt.type_bigint() }}) as product_id,
        cast(quantity as {{ dbt.type_bigint() }}) as quantity,
        cast(unit_price_cents as {{ dbt.type_bigint() }}) as unit_price_cents,
        cast(gross_line_total_cents as {{ dbt.type_bigint() }}) as gross_line_total_cents,
        cast(is_deleted as {{ dbt.type_boolean() }}) as is_deleted,
        cast(changed_at as {{ dbt.type_timestamp() }}) as changed_at,
        cast(change_sequence as {{ dbt.type_bigint() }}) as change_sequence,
        cast(operation as {{ dbt.type_string() }}) as operation,
        bgp_partition as log_partition
    from events

)

-- An event that was delivered more than once is one event, of the first partition that has it.
select
    transaction_id,
    line_number,
    product_id,
    quantity,
    unit_price_cents,
    gross_line_total_cents,
    is_deleted,
    changed_at,
    change_sequence,
    operation,
    min(log_partition) as log_partition
from typed
group by
    transaction_id,
    line_number,
    product_id,
    quantity,
    unit_price_cents,
    gross_line_total_cents,
    is_deleted,
    changed_at,
    change_sequence,
    operation
