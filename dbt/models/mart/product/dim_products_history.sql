{{ config(unit='product_id', rows=['stg_products']) }}

{{ history_of(ref('stg_products'), 'product') }}
