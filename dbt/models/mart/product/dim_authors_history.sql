{{ config(unit='author_id', rows=['stg_authors']) }}

{{ history_of(ref('stg_authors'), 'author') }}
