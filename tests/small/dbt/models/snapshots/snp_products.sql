{{ config(unit='product_id', rows=['cln_products']) }}

with events as (

    select * from {{ ref('cln_products') }}
    where {{ in_touched('product_id') }}

),

-- Of states that hold from one moment on, the last one written counts.
ranked as (

    select
        *,
        row_number() over (partition by product_id, valid_from order by change_sequence desc) as recency
    from events

),

versions as (

    select
        *,
        lead(valid_from) over (partition by product_id order by valid_from) as valid_to
    from ranked
    where recency = 1

)

select
    product_id,
    name,
    unit_price_cents,
    cost_price_cents,
    status,
    is_deleted,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    log_partition
from versions
