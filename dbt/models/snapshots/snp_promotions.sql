{{ config(unit='promotion_id', rows=['cln_promotions']) }}

{{ versions_of(ref('cln_promotions'), key=['promotion_id']) }}
