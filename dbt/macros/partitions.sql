{#- Partitions of `facts` up to the first gap in them and in those of `dimension`: whatever their rows refer to must have come. Rows
    beyond it may refer to something in a partition that is still missing, because partitions may come in any order. A week or a
    month of a dimension is there from its first day on, and is complete up to the days that have come. -#}
{% macro partitions_covered_by(facts, dimension) -%}
  select {{ adapter.quote('partition') }}
  from {{ source('raw', 'bgp_partitions') }}
  where table_name = '{{ facts }}'
    and is_contiguous
    and ends_at <= (
      select max(ends_at)
      from {{ source('raw', 'bgp_partitions') }}
      where table_name = '{{ dimension }}' and is_contiguous
    )
{%- endmacro %}
