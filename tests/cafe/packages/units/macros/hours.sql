{% macro hours(minutes) %}cast({{ minutes }} / 60 as decimal(12, 4)){% endmacro %}
