{{ config(unit='product_id', rows=['cln_suppliers_products']) }}

{{ versions_of(ref('cln_suppliers_products'), key=['product_id', 'supplier_id']) }}
