-- Every sale whose customer and product have come finds the versions that held at its time.
select sales.sale_key
from {{ ref('fct_sales') }} as sales
inner join {{ ref('prep_transaction_lines') }} as lines
    on sales.transaction_id = lines.transaction_id and sales.line_number = lines.line_number
where
    (
        sales.customer_version_key is null
        and lines.header_log_partition in ({{ partitions_covered_by('transaction_headers', 'customers') }})
    )
    or (
        sales.product_version_key is null
        and lines.line_log_partition in ({{ partitions_covered_by('transaction_lines', 'products') }})
    )
