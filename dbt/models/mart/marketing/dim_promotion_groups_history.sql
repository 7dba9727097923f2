{{ config(unit='promotion_group_id', rows=['stg_promotion_groups']) }}

{{ history_of(ref('stg_promotion_groups'), 'promotion_group') }}
