-- What a header says is the sum of its lines, of its discounts and of its payments, to the cent; also where it has none
-- of them.
with lines as (

    select
        transaction_id,
        sum(line_total_cents) as subtotal_cents,
        sum(line_discount_cents + order_discount_cents) as discount_cents,
        sum(tax_cents) as tax_cents,
        sum(total_cents) as total_cents
    from {{ ref('prep_transaction_lines') }}
    group by transaction_id

),

discounts as (

    select
        transaction_id,
        sum(discount_cents) as discount_cents
    from {{ ref('prep_transaction_discounts') }}
    group by transaction_id

),

payments as (

    select
        transaction_id,
        sum(amount_cents) as total_cents
    from {{ ref('prep_transaction_payments') }}
    group by transaction_id

)

select
    headers.transaction_id,
    headers.subtotal_cents,
    headers.discount_cents,
    headers.tax_cents,
    headers.total_cents,
    lines.subtotal_cents as lines_subtotal_cents,
    lines.discount_cents as lines_discount_cents,
    lines.tax_cents as lines_tax_cents,
    lines.total_cents as lines_total_cents,
    discounts.discount_cents as discounts_cents,
    payments.total_cents as payments_cents
from {{ ref('prep_transactions') }} as headers
left join lines
    on headers.transaction_id = lines.transaction_id
left join discounts
    on headers.transaction_id = discounts.transaction_id
left join payments
    on headers.transaction_id = payments.transaction_id
where
    headers.subtotal_cents <> coalesce(lines.subtotal_cents, 0)
    or headers.discount_cents <> coalesce(lines.discount_cents, 0)
    or headers.tax_cents <> coalesce(lines.tax_cents, 0)
    or headers.total_cents <> coalesce(lines.total_cents, 0)
    or headers.discount_cents <> coalesce(discounts.discount_cents, 0)
    or headers.total_cents <> coalesce(payments.total_cents, 0)
