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

{#- The moment that `until` gives where a version is open. -#}
{% macro end_of_time() -%}
  timestamp '9999-12-31'
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

{#- Every column but these. -#}
{% macro all_but(columns) -%}
  {{ return(adapter.dispatch('all_but')(columns)) }}
{%- endmacro %}

{% macro duckdb__all_but(columns) -%}
  * exclude ({{ columns | join(', ') }})
{%- endmacro %}

{% macro bigquery__all_but(columns) -%}
  * except ({{ columns | join(', ') }})
{%- endmacro %}

{#- How often a whole number goes into another one; both are at least 0. -#}
{% macro whole_part(dividend, divisor) -%}
  {{ return(adapter.dispatch('whole_part')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__whole_part(dividend, divisor) -%}
  (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}

{% macro bigquery__whole_part(dividend, divisor) -%}
  div({{ dividend }}, {{ divisor }})
{%- endmacro %}

{#- The first day of a date's month. -#}
{% macro month_of(date) -%}
  {{ return(adapter.dispatch('month_of')(date)) }}
{%- endmacro %}

{% macro duckdb__month_of(date) -%}
  cast(date_trunc('month', {{ date }}) as date)
{%- endmacro %}

{% macro bigquery__month_of(date) -%}
  date_trunc({{ date }}, month)
{%- endmacro %}

{#- Days from one date to another. -#}
{% macro days_between(first, last) -%}
  {{ return(adapter.dispatch('days_between')(first, last)) }}
{%- endmacro %}

{% macro duckdb__days_between(first, last) -%}
  date_diff('day', {{ first }}, {{ last }})
{%- endmacro %}

{% macro bigquery__days_between(first, last) -%}
  date_diff({{ last }}, {{ first }}, day)
{%- endmacro %}

{#- A share in hundredths of a percent, rounded towards zero; NULL of nothing. Both are at least 0. -#}
{% macro basis_points(part, whole) -%}
  {{ whole_part('10000 * (' ~ part ~ ')', 'nullif(' ~ whole ~ ', 0)') }}
{%- endmacro %}
