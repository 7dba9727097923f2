{{ config(unit='transaction_id', rows=['cln_transaction_payments']) }}

{{ states_of(ref('cln_transaction_payments'), key=['transaction_id', 'payment_number']) }}
