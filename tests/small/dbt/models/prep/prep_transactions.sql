{{ config(
    unit='transaction_id',
    rows=['stg_transaction_headers'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['transaction_id'],
) }}

select
    transaction_id,
    order_date,
    transaction_at,
    transaction_type,
    original_transaction_id,
    customer_id,
    channel_id,
    subtotal_cents,
    discount_cents,
    tax_cents,
    total_cents,
    log_partition
from {{ ref('stg_transaction_headers') }}
where
    {{ in_touched('transaction_id') }}
    and not is_deleted
