{{ config(unit='transaction_id', rows=['raw.transaction_headers'], cluster_by=['transaction_id']) }}

with events as (

    select * from {{ source('raw', 'transaction_headers') }}
    where {{ in_touched('transaction_id') }}

),

typed as (

    select
        cast(transaction_id as {{ dbt.type_string() }}) as transaction_id,
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(channel_id as {{ dbt.type_bigint() }}) as channel_id,
        cast(type as {{ dbt.type_string() }}) as type,
        cast(original_transaction_id as {{ dbt.type_string() }}) as original_transaction_id,
        cast(transaction_at as {{ dbt.type_timestamp() }}) as transaction_at,
        cast(gross_subtotal_cents as {{ dbt.type_bigint() }}) as gross_subtotal_cents,
        cast(total_discount_cents as {{ dbt.type_bigint() }}) as total_discount_cents,
        cast(total_tax_cents as {{ dbt.type_bigint() }}) as total_tax_cents,
        cast(total_cents as {{ dbt.type_bigint() }}) as total_cents,
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
    customer_id,
    channel_id,
    type,
    original_transaction_id,
    transaction_at,
    gross_subtotal_cents,
    total_discount_cents,
    total_tax_cents,
    total_cents,
    is_deleted,
    changed_at,
    change_sequence,
    operation,
    min(log_partition) as log_partition
from typed
group by
    transaction_id,
    customer_id,
    channel_id,
    type,
    original_transaction_id,
    transaction_at,
    gross_subtotal_cents,
    total_discount_cents,
    total_tax_cents,
    total_cents,
    is_deleted,
    changed_at,
    change_sequence,
    operation
