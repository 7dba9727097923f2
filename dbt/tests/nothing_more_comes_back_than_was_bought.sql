-- All returns of a line together give back at most what was bought. Purchases that have not come yet
-- are not asked.
select
    original_transaction_id,
    line_number,
    sum(returned_units) as returned_units,
    min(purchased_units) as purchased_units
from {{ ref('fct_returns') }}
where purchased_units is not null
group by original_transaction_id, line_number
having sum(returned_units) > min(purchased_units)
