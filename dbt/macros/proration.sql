{#- The rows of `relation` and `into`: `amount`, a sum of the whole `unit`, placed on its rows in proportion to `weight`. The parts add
    up to the amount exactly. Each row has its part rounded towards zero; the cents that are left go, one each, to the rows that lost
    most, ties to the first by `position`. Where there is nothing to go by, rows weigh the same. Signs do not matter to the weights, and
    the parts have that of the amount. -#}
{% macro prorated(relation, unit, position, amount, weight, into) -%}
  {%- set total = "sum(abs(" ~ weight ~ ")) over (partition by " ~ unit ~ ")" -%}
select
  {{ all_but(['share__', 'shares__', 'floor__', 'lost__', 'place__']) }},
  cast(sign({{ amount }}) * (
    floor__ + case when place__ <= abs({{ amount }}) - sum(floor__) over (partition by {{ unit }}) then 1 else 0 end
  ) as {{ dbt.type_bigint() }}) as {{ into }}
from (
  select
    *,
    row_number() over (partition by {{ unit }} order by lost__ desc, {{ position }} asc) as place__
  from (
    select
      *,
      {{ whole_part('abs(' ~ amount ~ ') * share__', 'shares__') }} as floor__,
      mod(abs({{ amount }}) * share__, shares__) as lost__
    from (
      select
        *,
        cast(case when {{ total }} = 0 then 1 else abs({{ weight }}) end as {{ dbt.type_bigint() }}) as share__,
        cast(
          case when {{ total }} = 0 then count(*) over (partition by {{ unit }}) else {{ total }} end as {{ dbt.type_bigint() }}
        ) as shares__
      from {{ relation }}
    ) as weighed
  ) as divided
) as placed
{%- endmacro %}
