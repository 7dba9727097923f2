{{ config(unit='promotion_id', rows=['dim_promotions_history']) }}

{{ current_of(ref('dim_promotions_history'), 'promotion') }}
