{{ config(unit='product_id', rows=['cln_promotion_groups_products']) }}

{{ versions_of(ref('cln_promotion_groups_products'), key=['product_id', 'promotion_group_id']) }}
