{# Rules for every row, in words and SQL; a rule that evaluates to null does not fail. One row per broken rule. #}
{% test holds(model, rules) %}

with broken as (

    select
        {%- for rule in rules.values() %}
        count(*) filter (where not ({{ rule }})) as rule_{{ loop.index }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ model }}

)

{% for words in rules %}
select '{{ words }}' as rule, rule_{{ loop.index }} as row_count from broken where rule_{{ loop.index }} > 0
{{ 'union all' if not loop.last }}
{% endfor %}

{% endtest %}
