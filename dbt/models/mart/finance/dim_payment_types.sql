{{ config(unit='payment_type_id', rows=['dim_payment_types_history']) }}

{{ current_of(ref('dim_payment_types_history'), 'payment_type') }}
