{{ config(unit='promotion_id', rows=['stg_promotions']) }}

{{ history_of(ref('stg_promotions'), 'promotion') }}
