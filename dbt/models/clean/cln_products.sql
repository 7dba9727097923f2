{{ config(rows=[{'ref': 'raw.products', 'unit': 'bgp_partition'}], cluster_by=['product_id']) }}

{{ events_of(source('raw', 'products'), {
    'product_id': 'bigint',
    'name': 'string',
    'description': 'string',
    'year_published': 'bigint',
    'minimum_players': 'bigint',
    'maximum_players': 'bigint',
    'minimum_minutes': 'bigint',
    'maximum_minutes': 'bigint',
    'minimum_age': 'bigint',
    'users_rated': 'bigint',
    'average_rating_hundredths': 'bigint',
    'rating_rank': 'bigint',
    'cost_price_cents': 'bigint',
    'msrp_cents': 'bigint',
    'unit_price_cents': 'bigint',
    'image_url': 'string',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
