{{ config(unit='employee_id', rows=['cln_employees']) }}

{{ versions_of(ref('cln_employees'), key=['employee_id']) }}
