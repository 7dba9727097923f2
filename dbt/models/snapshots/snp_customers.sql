{{ config(unit='customer_id', rows=['cln_customers']) }}

{{ versions_of(ref('cln_customers'), key=['customer_id']) }}
