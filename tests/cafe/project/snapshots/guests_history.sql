{% snapshot guests_history %}
{{ config(target_schema='history', unique_key='guest_id', strategy='check', check_cols=['full_name']) }}
select guest_id, full_name from {{ ref('stg_guests') }}
{% endsnapshot %}
