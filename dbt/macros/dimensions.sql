{#- What dimensions are made of. `entity` is in the singular: of `author` the key is author_id and a version's author_version_key. -#}

{#- Every version, under a key of its own. -#}
{% macro history_of(versions, entity) -%}
select
  {{ surrogate_key([entity ~ '_id', epoch_microseconds('valid_from')]) }} as {{ entity }}_version_key,
  *
from {{ versions }}
where {{ in_touched(entity ~ '_id') }}
{%- endmacro %}

{#- The current version of each, deleted ones too. -#}
{% macro current_of(history, entity) -%}
select
  {{ all_but(['valid_from', 'valid_to', 'is_current']) }},
  valid_from as current_since
from {{ history }}
where {{ in_touched(entity ~ '_id') }} and is_current
{%- endmacro %}

{#- The stretches of time in which something belonged to a product. A link that was deleted has ended; nothing begins. -#}
{% macro links_of(versions, entity) -%}
select
  {{ surrogate_key(['product_id', entity ~ '_id', epoch_microseconds('valid_from')]) }} as product_{{ entity }}_key,
  {{ all_but(['is_deleted']) }}
from {{ versions }}
where {{ in_touched('product_id') }} and not is_deleted
{%- endmacro %}
