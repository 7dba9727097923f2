{{ config(unit='product_id', rows=['stg_authors_products']) }}

{{ links_of(ref('stg_authors_products'), 'author') }}
