{#- What becomes of events: histories and last states, whatever order the events came in. The first column of a key is the unit of
    the model. -#}

{#- One row a version: a state of a key from `valid_from` until before `valid_to`. Of states that hold from one moment on, the one
    written last counts; `log_partition` is the first partition that has it. -#}
{% macro versions_of(events, key) -%}
  {%- set keys = key | join(', ') -%}
with ranked as (

  select
    *,
    row_number() over (partition by {{ keys }}, valid_from order by change_sequence desc, log_partition asc) as recency
  from {{ events }}
  where {{ in_touched(key[0]) }}

),

versions as (

  select
    {{ all_but(['changed_at', 'change_sequence', 'operation', 'recency']) }},
    lead(valid_from) over (partition by {{ keys }} order by valid_from) as valid_to
  from ranked
  where recency = 1

)

select
  *,
  valid_to is null as is_current
from versions
{%- endmacro %}

{#- One row a key: its last state. -#}
{% macro states_of(events, key) -%}
with ranked as (

  select
    *,
    row_number() over (partition by {{ key | join(', ') }} order by change_sequence desc, log_partition asc) as recency
  from {{ events }}
  where {{ in_touched(key[0]) }}

)

select {{ all_but(['changed_at', 'change_sequence', 'operation', 'recency']) }}
from ranked
where recency = 1
{%- endmacro %}
