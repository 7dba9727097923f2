{{ config(unit='payment_type_id', rows=['cln_payment_types']) }}

{{ versions_of(ref('cln_payment_types'), key=['payment_type_id']) }}
