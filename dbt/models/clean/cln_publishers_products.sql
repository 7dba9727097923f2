{{ config(rows=[{'ref': 'raw.publishers_products', 'unit': 'bgp_partition'}], cluster_by=['product_id']) }}

{{ events_of(source('raw', 'publishers_products'), {
    'publisher_id': 'bigint',
    'product_id': 'bigint',
    'region': 'string',
    'added_on': 'date',
    'valid_from': 'timestamp',
}) }}
