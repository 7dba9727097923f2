{{ config(rows=[{'ref': 'raw.transaction_lines', 'unit': 'bgp_partition'}], cluster_by=['transaction_id']) }}

{{ events_of(source('raw', 'transaction_lines'), {
    'transaction_id': 'string',
    'line_number': 'bigint',
    'product_id': 'bigint',
    'quantity': 'bigint',
    'unit_price_cents': 'bigint',
    'gross_line_total_cents': 'bigint',
}) }}
