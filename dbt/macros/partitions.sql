{#- Partitions of `facts` up to the first gap in those of `dimension`: whatever their rows refer to must have come. Rows beyond it
    may refer to something in a partition that is still missing, because partitions may come in any order. -#}
{% macro partitions_covered_by(facts, dimension) -%}
  select {{ adapter.quote('partition') }}
  from {{ source('raw', 'bgp_partitions') }}
  where table_name = '{{ facts }}'
    and ends_at <= (
      select max(ends_at)
      from {{ source('raw', 'bgp_partitions') }}
      where table_name = '{{ dimension }}' and is_contiguous
    )
{%- endmacro %}
