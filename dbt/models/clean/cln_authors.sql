{{ config(rows=[{'ref': 'raw.authors', 'unit': 'bgp_partition'}], cluster_by=['author_id']) }}

{{ events_of(source('raw', 'authors'), {
    'author_id': 'bigint',
    'name': 'string',
    'country': 'string',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
