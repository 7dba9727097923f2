{{ config(rows=[{'ref': 'raw.payment_types', 'unit': 'bgp_partition'}], cluster_by=['payment_type_id']) }}

{{ events_of(source('raw', 'payment_types'), {
    'payment_type_id': 'bigint',
    'name': 'string',
    'kind': 'string',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
