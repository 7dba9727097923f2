with source as (

    select * from {{ source('tpch', 'lineitem') }}

),

renamed as (

    select
        l_orderkey as order_key,
        l_linenumber as line_number,
        l_extendedprice as extended_price,
        cast(l_extendedprice * (1 - l_discount) as decimal(18, 4)) as revenue,
        l_shipdate as ship_date,
        l_commitdate as commit_date,
        l_receiptdate as receipt_date,
        l_shipmode as ship_mode
    from source

)

select * from renamed
