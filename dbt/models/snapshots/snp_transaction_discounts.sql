{{ config(unit='transaction_id', rows=['cln_transaction_discounts']) }}

{{ states_of(ref('cln_transaction_discounts'), key=['transaction_id', 'discount_number']) }}
