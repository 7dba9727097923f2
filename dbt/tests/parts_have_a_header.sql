-- A transaction is always told whole, so a line, discount or payment without a header is a fault, whatever partitions
-- are missing.
with parts as (

    select
        'line' as part,
        transaction_id,
        line_number as part_number
    from {{ ref('stg_transaction_lines') }}

    union all

    select
        'discount' as part,
        transaction_id,
        discount_number as part_number
    from {{ ref('stg_transaction_discounts') }}

    union all

    select
        'payment' as part,
        transaction_id,
        payment_number as part_number
    from {{ ref('stg_transaction_payments') }}

)

select parts.*
from parts
left join {{ ref('stg_transaction_headers') }} as headers
    on parts.transaction_id = headers.transaction_id
where headers.transaction_id is null
