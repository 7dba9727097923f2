{{ config(unit='product_id', rows=['stg_suppliers_products']) }}

{{ links_of(ref('stg_suppliers_products'), 'supplier') }}
