{{ config(unit='author_id', rows=['dim_authors_history']) }}

{{ current_of(ref('dim_authors_history'), 'author') }}
