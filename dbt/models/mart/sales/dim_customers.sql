{{ config(unit='customer_id', rows=['dim_customers_history']) }}

{{ current_of(ref('dim_customers_history'), 'customer') }}
