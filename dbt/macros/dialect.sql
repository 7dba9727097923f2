{#- What the two back ends spell differently. Everything here gives the same value on both. -#}

{#- Microseconds since 1970 of a UTC timestamp. -#}
{% macro epoch_microseconds(timestamp) -%}
  {{ return(adapter.dispatch('epoch_microseconds')(timestamp)) }}
{%- endmacro %}

{% macro duckdb__epoch_microseconds(timestamp) -%}
  epoch_us({{ timestamp }})
{%- endmacro %}

{% macro bigquery__epoch_microseconds(timestamp) -%}
  unix_micros({{ timestamp }})
{%- endmacro %}

{#- The end of a version, for comparisons: the end of time where it is still open. An `or ... is null` says the same, and makes
    a left join compare every row with every version. The literal takes the column's type. -#}
{% macro until(valid_to) -%}
  coalesce({{ valid_to }}, '9999-12-31')
{%- endmacro %}

{#- The MD5 of a text, in lower-case hexadecimal. -#}
{% macro md5_text(text) -%}
  {{ return(adapter.dispatch('md5_text')(text)) }}
{%- endmacro %}

{% macro duckdb__md5_text(text) -%}
  md5({{ text }})
{%- endmacro %}

{% macro bigquery__md5_text(text) -%}
  to_hex(md5({{ text }}))
{%- endmacro %}

{#- The key of a row: the MD5 of its parts' canonical texts. Parts are integers, dates or texts without `|`; times go
    through epoch_microseconds first. -#}
{% macro surrogate_key(parts) -%}
  {%- set texts = [] -%}
  {%- for part in parts -%}
    {%- do texts.append("coalesce(cast(" ~ part ~ " as " ~ dbt.type_string() ~ "), '')") -%}
  {%- endfor -%}
  {{ md5_text(texts | join(" || '|' || ")) }}
{%- endmacro %}
