{{ config(unit='transaction_id', rows=['cln_transaction_lines']) }}

{{ states_of(ref('cln_transaction_lines'), key=['transaction_id', 'line_number']) }}
