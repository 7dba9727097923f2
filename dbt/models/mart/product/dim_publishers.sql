{{ config(unit='publisher_id', rows=['dim_publishers_history']) }}

{{ current_of(ref('dim_publishers_history'), 'publisher') }}
