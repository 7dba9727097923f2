{{ config(rows=[{'ref': 'raw.categories', 'unit': 'bgp_partition'}], cluster_by=['category_id']) }}

{{ events_of(source('raw', 'categories'), {
    'category_id': 'bigint',
    'parent_category_id': 'bigint',
    'name': 'string',
    'level': 'bigint',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
