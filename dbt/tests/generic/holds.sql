{#- Rows for which an expression does not hold; NULL does not hold. -#}
{% test holds(model, expression) %}

select *
from {{ model }}
where ({{ expression }}) is not true

{% endtest %}
