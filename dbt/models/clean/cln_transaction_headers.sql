{{ config(rows=[{'ref': 'raw.transaction_headers', 'unit': 'bgp_partition'}], cluster_by=['transaction_id']) }}

{{ events_of(source('raw', 'transaction_headers'), {
    'transaction_id': 'string',
    'customer_id': 'string',
    'channel_id': 'bigint',
    'employee_id': 'bigint',
    'type': 'string',
    'original_transaction_id': 'string',
    'transaction_at': 'timestamp',
    'gross_subtotal_cents': 'bigint',
    'total_discount_cents': 'bigint',
    'total_tax_cents': 'bigint',
    'total_cents': 'bigint',
}) }}
