-- Both marts count the same lines.
select months.revenue, orders.revenue as of_orders
from (select sum(revenue) as revenue from {{ ref('monthly_revenue') }}) as months
cross join (select sum(revenue) as revenue from {{ ref('order_revenue') }}) as orders
where months.revenue <> orders.revenue
