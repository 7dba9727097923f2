{{ config(rows=[{'ref': 'raw.transaction_discounts', 'unit': 'bgp_partition'}], cluster_by=['transaction_id']) }}

{{ events_of(source('raw', 'transaction_discounts'), {
    'transaction_id': 'string',
    'discount_number': 'bigint',
    'promotion_id': 'bigint',
    'line_number': 'bigint',
    'discounted_units': 'bigint',
    'amount_cents': 'bigint',
}) }}
