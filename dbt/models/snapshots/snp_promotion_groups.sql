{{ config(unit='promotion_group_id', rows=['cln_promotion_groups']) }}

{{ versions_of(ref('cln_promotion_groups'), key=['promotion_group_id']) }}
