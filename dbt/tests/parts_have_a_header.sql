-- A transaction is always told whole, so a line without a header is a fault, whatever partitions are still missing.
select
    lines.transaction_id,
    lines.line_number
from {{ ref('stg_transaction_lines') }} as lines
left join {{ ref('stg_transaction_headers') }} as headers
    on lines.transaction_id = headers.transaction_id
where headers.transaction_id is null
