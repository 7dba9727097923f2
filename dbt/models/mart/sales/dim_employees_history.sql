{{ config(unit='employee_id', rows=['stg_employees']) }}

{{ history_of(ref('stg_employees'), 'employee') }}
