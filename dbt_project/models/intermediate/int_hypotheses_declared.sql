{% for rule in declared_hypotheses() -%}
{% for answer in rule.confirmed_by -%}
select
    '{{ rule.job }}' as job,
    '{{ rule.statement | replace("'", "''") }}' as hypothesis,
    '{{ answer | replace("'", "''") }}' as confirming_answer,
    {{ rule.question }} as question_number,
    cast({{ rule.above }} as double) as confirmed_above
union all
{% endfor -%}
{% endfor -%}
select
    '' as job,
    '' as hypothesis,
    '' as confirming_answer,
    0 as question_number,
    cast(null as double) as confirmed_above
where 1 = 0
