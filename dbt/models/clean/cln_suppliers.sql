{{ config(rows=[{'ref': 'raw.suppliers', 'unit': 'bgp_partition'}], cluster_by=['supplier_id']) }}

{{ events_of(source('raw', 'suppliers'), {
    'supplier_id': 'bigint',
    'name': 'string',
    'contact_name': 'string',
    'contact_email': 'string',
    'contact_phone': 'string',
    'street': 'string',
    'city': 'string',
    'province': 'string',
    'postal_code': 'string',
    'lead_time_days': 'bigint',
    'status': 'string',
    'merged_into_supplier_id': 'bigint',
    'valid_from': 'timestamp',
}) }}
