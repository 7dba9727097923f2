{{ config(unit='product_id', rows=['dim_products_history']) }}

select
    product_id,
    product_version_key,
    product_name,
    unit_price_cents,
    cost_price_cents,
    product_status,
    is_deleted,
    valid_from as current_since
from {{ ref('dim_products_history') }}
where
    {{ in_touched('product_id') }}
    and is_current
