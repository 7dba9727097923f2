select
    employee_id,
    first_name,
    last_name,
    email,
    role as employee_role,
    channel_id,
    hired_on,
    status as employee_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from {{ ref('snp_employees') }}
