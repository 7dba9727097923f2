{{ config(unit='product_id', rows=['cln_publishers_products']) }}

{{ versions_of(ref('cln_publishers_products'), key=['product_id', 'publisher_id']) }}
