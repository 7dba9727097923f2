-- Every fact whose dimension has come finds the version that held at its time.
select
    'customer' as dimension,
    sales.transaction_id
from {{ ref('fct_sales') }} as sales
inner join {{ ref('prep_transaction_lines') }} as lines
    on sales.transaction_id = lines.transaction_id and sales.line_number = lines.line_number
where
    sales.customer_version_key is null
    and lines.header_log_partition in ({{ partitions_covered_by('transaction_headers', 'customers') }})

union all

select
    'product' as dimension,
    sales.transaction_id
from {{ ref('fct_sales') }} as sales
inner join {{ ref('prep_transaction_lines') }} as lines
    on sales.transaction_id = lines.transaction_id and sales.line_number = lines.line_number
where
    sales.product_version_key is null
    and lines.line_log_partition in ({{ partitions_covered_by('transaction_lines', 'products') }})

union all

select
    'employee' as dimension,
    transactions.transaction_id
from {{ ref('fct_transactions') }} as transactions
inner join {{ ref('prep_transactions') }} as headers
    on transactions.transaction_id = headers.transaction_id
where
    transactions.employee_version_key is null
    and transactions.employee_id is not null
    and headers.log_partition in ({{ partitions_covered_by('transaction_headers', 'employees') }})

union all

select
    'promotion' as dimension,
    facts.transaction_id
from {{ ref('fct_discounts') }} as facts
inner join {{ ref('prep_transaction_discounts') }} as discounts
    on facts.transaction_id = discounts.transaction_id and facts.discount_number = discounts.discount_number
where
    facts.promotion_version_key is null
    and discounts.log_partition in ({{ partitions_covered_by('transaction_discounts', 'promotions') }})

union all

select
    'payment type' as dimension,
    facts.transaction_id
from {{ ref('fct_payments') }} as facts
inner join {{ ref('prep_transaction_payments') }} as payments
    on facts.transaction_id = payments.transaction_id and facts.payment_number = payments.payment_number
where
    facts.payment_type_version_key is null
    and payments.log_partition in ({{ partitions_covered_by('transaction_payments', 'payment_types') }})
