{{ config(rows=[{'ref': 'raw.authors_products', 'unit': 'bgp_partition'}], cluster_by=['product_id']) }}

{{ events_of(source('raw', 'authors_products'), {
    'author_id': 'bigint',
    'product_id': 'bigint',
    'role': 'string',
    'added_on': 'date',
    'valid_from': 'timestamp',
}) }}
