select
    countries.name as country_name,
    count(*) as visits,
    cast(sum(visits.hours) as decimal(12, 2)) as hours,
    {{ greetings.greet('countries.name') }} as greeting
from {{ ref('stg_visits') }} as visits
inner join {{ ref('countries_of_the_world') }} as countries on visits.country = countries.code
group by countries.name
