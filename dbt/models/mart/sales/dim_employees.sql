{{ config(unit='employee_id', rows=['dim_employees_history']) }}

{{ current_of(ref('dim_employees_history'), 'employee') }}
