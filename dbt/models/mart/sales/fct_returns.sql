{{ config(
    unit='original_transaction_id',
    rows=[{'ref': 'prep_transaction_lines', 'unit': 'coalesce(original_transaction_id, transaction_id)'}],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['original_transaction_id'],
) }}

-- What was given back, and what it was given back of: both are touched by the name of the purchase.
with lines as (

    select * from {{ ref('prep_transaction_lines') }}
    where {{ in_touched('coalesce(original_transaction_id, transaction_id)') }}

),

returned as (

    select * from lines
    where transaction_type = 'Return'

),

purchased as (

    select * from lines
    where transaction_type = 'Purchase'

)

select
    {{ surrogate_key(['returned.transaction_id', 'returned.line_number']) }} as return_key,
    returned.transaction_id,
    returned.line_number,
    returned.order_date,
    returned.transaction_at,
    returned.original_transaction_id,
    purchased.order_date as purchased_on,
    {{ days_between('purchased.order_date', 'returned.order_date') }} as days_kept,
    returned.customer_id,
    returned.product_id,
    returned.channel_id,
    -returned.quantity as returned_units,
    purchased.quantity as purchased_units,
    -returned.net_cents as returned_net_cents,
    -returned.tax_cents as returned_tax_cents,
    -returned.total_cents as returned_total_cents,
    purchased.total_cents as purchased_total_cents
from returned
left join purchased
    on returned.original_transaction_id = purchased.transaction_id
    and returned.line_number = purchased.line_number
