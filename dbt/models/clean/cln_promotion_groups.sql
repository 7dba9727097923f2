{{ config(rows=[{'ref': 'raw.promotion_groups', 'unit': 'bgp_partition'}], cluster_by=['promotion_group_id']) }}

{{ events_of(source('raw', 'promotion_groups'), {
    'promotion_group_id': 'bigint',
    'name': 'string',
    'group_type': 'string',
    'category_id': 'bigint',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
