-- No sale is lost or doubled between the layers.
select
    (select count(*) from {{ ref('prep_transaction_lines') }}) as prepared,
    (select count(*) from {{ ref('fct_sales') }}) as published
where
    (select count(*) from {{ ref('prep_transaction_lines') }}) <> (select count(*) from {{ ref('fct_sales') }})
    or (select count(*) from {{ ref('prep_transactions') }}) <> (select count(*) from {{ ref('fct_transactions') }})
