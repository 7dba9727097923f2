{{ config(
    unit='transaction_id',
    rows=['prep_transactions', 'stg_transaction_lines', 'stg_transaction_discounts'],
    partition_by={'field': 'order_date', 'data_type': 'date'},
    cluster_by=['transaction_id'],
) }}

with headers as (

    select * from {{ ref('prep_transactions') }}
    where {{ in_touched('transaction_id') }}

),

lines as (

    select * from {{ ref('stg_transaction_lines') }}
    where
        {{ in_touched('transaction_id') }}
        and not is_deleted

),

discounts as (

    select * from {{ ref('stg_transaction_discounts') }}
    where
        {{ in_touched('transaction_id') }}
        and not is_deleted

),

line_discounts as (

    select
        transaction_id,
        line_number,
        sum(discount_cents) as discount_cents
    from discounts
    where line_number is not null
    group by transaction_id, line_number

),

order_discounts as (

    select
        transaction_id,
        sum(discount_cents) as discount_cents
    from discounts
    where line_number is null
    group by transaction_id

),

joined as (

    select
        lines.transaction_id,
        lines.line_number,
        headers.order_date,
        headers.transaction_at,
        headers.transaction_type,
        headers.original_transaction_id,
        headers.customer_id,
        headers.channel_id,
        headers.employee_id,
        lines.product_id,
        lines.quantity,
        lines.unit_price_cents,
        lines.line_total_cents,
        cast(coalesce(line_discounts.discount_cents, 0) as {{ dbt.type_bigint() }}) as line_discount_cents,
        cast(
            lines.line_total_cents - coalesce(line_discounts.discount_cents, 0) as {{ dbt.type_bigint() }}
        ) as left_cents,
        cast(coalesce(order_discounts.discount_cents, 0) as {{ dbt.type_bigint() }}) as order_discounts_cents,
        headers.tax_cents as order_tax_cents,
        headers.log_partition as header_log_partition,
        lines.log_partition as line_log_partition
    from lines
    inner join headers
        on lines.transaction_id = headers.transaction_id
    left join line_discounts
        on lines.transaction_id = line_discounts.transaction_id
        and lines.line_number = line_discounts.line_number
    left join order_discounts
        on lines.transaction_id = order_discounts.transaction_id

),

-- Discounts of the order go to the lines by what line discounts have left of them, the tax by what those leave.
discounted as (

    {{ prorated(
        'joined', 'transaction_id', 'line_number', 'order_discounts_cents', 'left_cents', 'order_discount_cents'
    ) }}

),

reduced as (

    select
        *,
        left_cents - order_discount_cents as net_cents
    from discounted

),

taxed as (

    {{ prorated('reduced', 'transaction_id', 'line_number', 'order_tax_cents', 'net_cents', 'tax_cents') }}

)

select
    transaction_id,
    line_number,
    order_date,
    transaction_at,
    transaction_type,
    original_transaction_id,
    customer_id,
    channel_id,
    employee_id,
    product_id,
    quantity,
    unit_price_cents,
    line_total_cents,
    line_discount_cents,
    order_discount_cents,
    net_cents,
    tax_cents,
    net_cents + tax_cents as total_cents,
    header_log_partition,
    line_log_partition
from taxed
