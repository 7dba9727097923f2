{{ config(unit='category_id', rows=['stg_categories']) }}

{{ history_of(ref('stg_categories'), 'category') }}
