{% for rule in declared_hypotheses() -%}
{% for answer in rule.confirmed_by -%}
select
    '{{ rule.job }}' as job,
    '{{ rule.statement | replace("'", "''") }}' as hypothesis,
    '{{ answer | replace("'", "''") }}' as confirming_answer,
    {%- for then in ['if_confirmed', 'if_refuted'] %}
    {% if rule[then] %}'{{ rule[then] | replace("'", "''") }}'{% else %}cast(null as {{ dbt.type_string() }}){% endif %} as {{ then }},
    {%- endfor %}
    {{ rule.question }} as question_number,
    cast({{ rule.above }} as double) as confirmed_above
union all
{% endfor -%}
{% endfor -%}
select
    '' as job,
    '' as hypothesis,
    '' as confirming_answer,
    '' as if_confirmed,
    '' as if_refuted,
    0 as question_number,
    cast(null as double) as confirmed_above
where 1 = 0
