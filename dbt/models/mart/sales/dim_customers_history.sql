{{ config(unit='customer_id', rows=['stg_customers']) }}

{{ history_of(ref('stg_customers'), 'customer') }}
