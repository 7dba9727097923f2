{#- What clean models are made of. Columns are given as names and types: bigint, string, boolean, date, timestamp. -#}

{#- The events of a log, each once a partition that delivered it, in the types of this project. An event that came in several
    partitions is still several rows here, so that a new partition costs what it holds; `versions_of` and `states_of` make it one. -#}
{% macro events_of(log, columns) -%}
  {%- set log_columns = {
    'is_deleted': 'boolean', 'changed_at': 'timestamp', 'change_sequence': 'bigint', 'operation': 'string',
  } -%}
select distinct
  {{ typed(columns) }},
  {{ typed(log_columns) }},
  bgp_partition as log_partition
from {{ log }}
where {{ in_touched('bgp_partition') }}
{%- endmacro %}

{#- The rows of a table that is read whole. -#}
{% macro rows_of(table, columns) -%}
select distinct
  {{ typed(columns) }}
from {{ table }}
{%- endmacro %}

{% macro typed(columns) -%}
  {%- set types = {
    'bigint': dbt.type_bigint(), 'string': dbt.type_string(), 'boolean': dbt.type_boolean(), 'date': 'date',
    'timestamp': dbt.type_timestamp(),
  } -%}
  {%- for name, type in columns.items() %}
  cast({{ name }} as {{ types[type] }}) as {{ name }}{{ ',' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}
