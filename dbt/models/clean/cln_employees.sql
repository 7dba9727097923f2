{{ config(rows=[{'ref': 'raw.employees', 'unit': 'bgp_partition'}], cluster_by=['employee_id']) }}

{{ events_of(source('raw', 'employees'), {
    'employee_id': 'bigint',
    'first_name': 'string',
    'last_name': 'string',
    'email': 'string',
    'role': 'string',
    'channel_id': 'bigint',
    'hired_on': 'date',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
