{{ config(unit='product_id', rows=['stg_categories_products']) }}

{{ links_of(ref('stg_categories_products'), 'category') }}
