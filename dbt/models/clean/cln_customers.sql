{{ config(rows=[{'ref': 'raw.customers', 'unit': 'bgp_partition'}], cluster_by=['customer_id']) }}

{{ events_of(source('raw', 'customers'), {
    'customer_id': 'string',
    'first_name': 'string',
    'last_name': 'string',
    'email': 'string',
    'gender': 'string',
    'street': 'string',
    'city': 'string',
    'province': 'string',
    'postal_code': 'string',
    'date_of_birth': 'date',
    'signup_platform': 'string',
    'status': 'string',
    'registered_at': 'timestamp',
    'valid_from': 'timestamp',
}) }}
