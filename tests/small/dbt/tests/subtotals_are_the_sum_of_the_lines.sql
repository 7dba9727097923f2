-- Down to a header without a line: that one has a sum of 0.
with lines as (

    select
        transaction_id,
        sum(line_total_cents) as lines_cents
    from {{ ref('prep_transaction_lines') }}
    group by transaction_id

)

select
    headers.transaction_id,
    headers.subtotal_cents,
    lines.lines_cents
from {{ ref('prep_transactions') }} as headers
left join lines
    on headers.transaction_id = lines.transaction_id
where headers.subtotal_cents <> coalesce(lines.lines_cents, 0)
