{{ config(rows=[{'ref': 'raw.transaction_payments', 'unit': 'bgp_partition'}], cluster_by=['transaction_id']) }}

{{ events_of(source('raw', 'transaction_payments'), {
    'transaction_id': 'string',
    'payment_number': 'bigint',
    'payment_type_id': 'bigint',
    'amount_cents': 'bigint',
}) }}
