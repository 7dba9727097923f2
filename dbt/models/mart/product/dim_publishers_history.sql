{{ config(unit='publisher_id', rows=['stg_publishers']) }}

{{ history_of(ref('stg_publishers'), 'publisher') }}
