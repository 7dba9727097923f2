-- What lines bear of discounts is all that the discounts gave, seen from the discounts and from the lines.
with placed as (

    select * from {{ ref('prep_line_discounts') }}

),

by_discount as (

    select
        transaction_id,
        discount_number,
        sum(discount_cents) as discount_cents
    from placed
    group by transaction_id, discount_number

),

by_line as (

    select
        transaction_id,
        line_number,
        sum(discount_cents) as discount_cents
    from placed
    group by transaction_id, line_number

)

select
    discounts.transaction_id,
    discounts.discount_number as part_number,
    discounts.discount_cents,
    by_discount.discount_cents as placed_cents
from {{ ref('prep_transaction_discounts') }} as discounts
left join by_discount
    on discounts.transaction_id = by_discount.transaction_id
    and discounts.discount_number = by_discount.discount_number
where discounts.discount_cents <> coalesce(by_discount.discount_cents, 0)

union all

select
    lines.transaction_id,
    lines.line_number as part_number,
    lines.line_discount_cents + lines.order_discount_cents as discount_cents,
    by_line.discount_cents as placed_cents
from {{ ref('prep_transaction_lines') }} as lines
left join by_line
    on lines.transaction_id = by_line.transaction_id
    and lines.line_number = by_line.line_number
where lines.line_discount_cents + lines.order_discount_cents <> coalesce(by_line.discount_cents, 0)
