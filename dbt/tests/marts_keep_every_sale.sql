-- Nothing is lost or doubled between the layers.
with counts as (

    select
        (select count(*) from {{ ref('prep_transaction_lines') }}) as prepared_lines,
        (select count(*) from {{ ref('fct_sales') }}) as sales,
        (select count(*) from {{ ref('prep_transactions') }}) as prepared_transactions,
        (select count(*) from {{ ref('fct_transactions') }}) as transactions,
        (select count(*) from {{ ref('prep_transaction_discounts') }}) as prepared_discounts,
        (select count(*) from {{ ref('fct_discounts') }}) as discounts,
        (select count(*) from {{ ref('prep_transaction_payments') }}) as prepared_payments,
        (select count(*) from {{ ref('fct_payments') }}) as payments

)

select * from counts
where
    prepared_lines <> sales
    or prepared_transactions <> transactions
    or prepared_discounts <> discounts
    or prepared_payments <> payments
