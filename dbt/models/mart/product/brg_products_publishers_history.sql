{{ config(unit='product_id', rows=['stg_publishers_products']) }}

{{ links_of(ref('stg_publishers_products'), 'publisher') }}
