{{ config(rows=[{'ref': 'raw.promotion_groups_products', 'unit': 'bgp_partition'}], cluster_by=['product_id']) }}

{{ events_of(source('raw', 'promotion_groups_products'), {
    'promotion_group_id': 'bigint',
    'product_id': 'bigint',
    'added_on': 'date',
    'valid_from': 'timestamp',
}) }}
