{{ config(rows=[{'ref': 'raw.categories_products', 'unit': 'bgp_partition'}], cluster_by=['product_id']) }}

{{ events_of(source('raw', 'categories_products'), {
    'category_id': 'bigint',
    'product_id': 'bigint',
    'is_primary': 'boolean',
    'added_on': 'date',
    'valid_from': 'timestamp',
}) }}
