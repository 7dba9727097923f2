{{ config(unit='product_id', rows=['cln_categories_products']) }}

{{ versions_of(ref('cln_categories_products'), key=['product_id', 'category_id']) }}
