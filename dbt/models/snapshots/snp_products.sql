{{ config(unit='product_id', rows=['cln_products']) }}

{{ versions_of(ref('cln_products'), key=['product_id']) }}
