{{ config(rows=[{'ref': 'raw.suppliers_products', 'unit': 'bgp_partition'}], cluster_by=['product_id']) }}

{{ events_of(source('raw', 'suppliers_products'), {
    'supplier_id': 'bigint',
    'product_id': 'bigint',
    'supplier_code': 'string',
    'unit_cost_cents': 'bigint',
    'is_preferred': 'boolean',
    'added_on': 'date',
    'valid_from': 'timestamp',
}) }}
