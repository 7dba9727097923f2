{{ config(unit='payment_type_id', rows=['stg_payment_types']) }}

{{ history_of(ref('stg_payment_types'), 'payment_type') }}
