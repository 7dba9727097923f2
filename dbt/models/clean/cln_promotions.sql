{{ config(rows=[{'ref': 'raw.promotions', 'unit': 'bgp_partition'}], cluster_by=['promotion_id']) }}

{{ events_of(source('raw', 'promotions'), {
    'promotion_id': 'bigint',
    'code': 'string',
    'name': 'string',
    'discount_level': 'string',
    'discount_pool': 'string',
    'is_stackable': 'boolean',
    'priority': 'bigint',
    'discount_type': 'string',
    'discount_value': 'bigint',
    'minimum_quantity': 'bigint',
    'minimum_subtotal_cents': 'bigint',
    'promotion_group_id': 'bigint',
    'starts_at': 'timestamp',
    'ends_at': 'timestamp',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
