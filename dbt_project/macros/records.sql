{# The records of one kind: what every job that is on and sends this kind asks for, from the job's own model. #}
{% macro wanted_records(kind, more=[]) -%}
    {%- set jobs = [] -%}
    {%- for job, its in var('jobs').items() if its.enabled and kind in its.sends -%}
        {%- do jobs.append(job) -%}
    {%- endfor -%}
    {%- for job in jobs %}
select
    concat('{{ job }}:', entity) as record_key,
    '{{ job }}' as job,
    '{{ job }}' as template,
    substr(name, 1, 100) as name,
    facts,
    fact_steps,
    {% for column in more %}{{ column }},
    {% endfor -%}
    person_count,
    reference_keys,
    measured_on
from {{ ref((job ~ '__' ~ kind) | replace('-', '_')) }}
{{ 'union all' if not loop.last }}
    {%- else %}
{% set nothing = "to_json(" ~ text_list([]) ~ ")" -%}
select
    '' as record_key,
    '' as job,
    '' as template,
    '' as name,
    {{ nothing }} as facts,
    {{ nothing }} as fact_steps,
    {% for column in more %}{{ nothing }} as {{ column }},
    {% endfor -%}
    cast(null as bigint) as person_count,
    {{ nothing }} as reference_keys,
    cast(null as date) as measured_on
where 1 = 0
    {%- endfor %}
{%- endmacro %}

{# Keys of the records that must stand first; none. #}
{% macro no_references() -%}
    to_json({{ text_list([]) }})
{%- endmacro %}

{# A record's name from what it is about: 'Contacts', sales/health-care becomes "Contacts: sales, health care". #}
{% macro titled(title, entity) -%}
    concat('{{ title }}: ', replace(replace(replace({{ entity }}, '_', ' '), '-', ' '), '/', ', '))
{%- endmacro %}
