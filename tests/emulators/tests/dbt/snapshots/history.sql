{% snapshot history %}
{{ config(unique_key='item', strategy='check', check_cols=['price']) }}
select item, price from {{ ref('as_incremental') }}
{% endsnapshot %}
