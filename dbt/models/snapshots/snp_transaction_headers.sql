{{ config(unit='transaction_id', rows=['cln_transaction_headers']) }}

{{ states_of(ref('cln_transaction_headers'), key=['transaction_id']) }}
