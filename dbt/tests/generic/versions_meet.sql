{#- Versions of a history that leave a gap or overlap: one ends where the next one begins, and the last one is open. -#}
{% test versions_meet(model, key) %}

select *
from (
  select
    {{ key | join(', ') }},
    valid_from,
    valid_to,
    lead(valid_from) over (partition by {{ key | join(', ') }} order by valid_from) as next_from
  from {{ model }}
) as versions
where valid_to is distinct from next_from

{% endtest %}
