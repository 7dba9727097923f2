{% macro greet(name) %}'hello ' || {{ name }}{% endmacro %}
