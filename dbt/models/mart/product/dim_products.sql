{{ config(unit='product_id', rows=['dim_products_history']) }}

{{ current_of(ref('dim_products_history'), 'product') }}
