{{ config(unit='product_id', rows=['cln_authors_products']) }}

{{ versions_of(ref('cln_authors_products'), key=['product_id', 'author_id']) }}
