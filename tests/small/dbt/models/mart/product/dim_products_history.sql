{{ config(unit='product_id', rows=['stg_products']) }}

select
    {{ surrogate_key(['product_id', epoch_microseconds('valid_from')]) }} as product_version_key,
    product_id,
    product_name,
    unit_price_cents,
    cost_price_cents,
    product_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('stg_products') }}
where {{ in_touched('product_id') }}
