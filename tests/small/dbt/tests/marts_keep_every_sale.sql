-- No sale is lost or doubled between the layers.
with counts as (

    select
        (select count(*) from {{ ref('prep_transaction_lines') }}) as prepared_lines,
        (select count(*) from {{ ref('fct_sales') }}) as sales,
        (select count(*) from {{ ref('prep_transactions') }}) as prepared_transactions,
        (select count(*) from {{ ref('fct_transactions') }}) as transactions

)

select * from counts
where
    prepared_lines <> sales
    or prepared_transactions <> transactions
