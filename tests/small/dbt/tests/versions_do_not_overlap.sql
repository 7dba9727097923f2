-- Histories without gaps: a version ends where the next one begins, and the last one is open.
{% for history, key in [('snp_customers', 'customer_id'), ('snp_products', 'product_id')] %}
    select
        '{{ history }}' as history,
        cast({{ key }} as {{ dbt.type_string() }}) as key
    from (
        select
            {{ key }},
            valid_to,
            lead(valid_from) over (partition by {{ key }} order by valid_from) as next_from
        from {{ ref(history) }}
    ) as versions
    where valid_to is distinct from next_from
    {% if not loop.last %}union all{% endif %}
{% endfor %}
