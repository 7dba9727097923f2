with versions as (

    select * from {{ ref('snp_products') }}

)

select
    product_id,
    name as product_name,
    unit_price_cents,
    cost_price_cents,
    status as product_status,
    is_deleted,
    valid_from,
    valid_to,
    is_current
from versions
