select
    cast(date_trunc('month', ship_date) as date) as month,
    count(*) as lines,
    sum(extended_price) as gross,
    sum(revenue) as revenue
from {{ ref('stg_lines') }}
group by 1
