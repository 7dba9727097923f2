{{ config(rows=[{'ref': 'raw.publishers', 'unit': 'bgp_partition'}], cluster_by=['publisher_id']) }}

{{ events_of(source('raw', 'publishers'), {
    'publisher_id': 'bigint',
    'name': 'string',
    'country': 'string',
    'website': 'string',
    'status': 'string',
    'valid_from': 'timestamp',
}) }}
