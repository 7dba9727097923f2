{#- Values that the other model lacks although it must have them by now. -#}
{% test relationships_once_covered(model, column_name, to, field, facts, dimension, partition_column='log_partition') %}

select {{ column_name }}
from {{ model }}
where {{ column_name }} is not null
    and {{ partition_column }} in ({{ partitions_covered_by(facts, dimension) }})
    and {{ column_name }} not in (select {{ field }} from {{ to }} where {{ field }} is not null)

{% endtest %}
