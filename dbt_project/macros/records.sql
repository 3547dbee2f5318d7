{# The records of one kind: requests of every enabled job that sends this kind, from the job's own model. `more` gives further
   columns of those models with their types. #}
{% macro wanted_records(kind, more={}) -%}
    {%- set jobs = [] -%}
    {%- for job, its in var('jobs').items() if its.enabled and kind in its.sends -%}
        {%- do jobs.append(job) -%}
    {%- endfor -%}
    {%- for job in jobs %}
select
    concat_ws('', '{{ job }}:', entity) as record_key,
    '{{ job }}' as job,
    '{{ job }}' as template,
    substr(name, 1, 100) as name,
    facts,
    fact_steps,
    {% for column in more %}{{ column }},
    {% endfor -%}
    person_count,
    {{ worth_its_price(job, kind) }} as withheld_reason,
    coalesce(doubt_of_it, doubt_of_job) as doubt,
    reference_keys,
    measured_on
from {{ ref((job ~ '__' ~ kind) | replace('-', '_')) }}
left join (select entity as doubted, doubt as doubt_of_it from {{ ref('fct_job_doubts') }} where job = '{{ job }}') as of_it
    on entity = doubted
left join (select doubt as doubt_of_job from {{ ref('fct_job_doubts') }} where job = '{{ job }}' and entity = '') as of_job
    on 1 = 1
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
    {% for column, type in more.items() %}{{ nothing if type == 'json' else 'cast(null as ' ~ type ~ ')' }} as {{ column }},
    {% endfor -%}
    cast(null as bigint) as person_count,
    '' as withheld_reason,
    cast(null as {{ dbt.type_string() }}) as doubt,
    {{ nothing }} as reference_keys,
    cast(null as date) as measured_on
where 1 = 0
    {%- endfor %}
{%- endmacro %}

{# Why a record of a job and kind is not worth its price: the first need in the var `worth` that it fails; otherwise ''. #}
{% macro worth_its_price(job, kind) -%}
    {%- set needs = var('worth').get(job ~ '__' ~ kind, []) -%}
    case
        {%- for need in needs %}
        when not coalesce({{ is_met(need) }}, false) then '{{ need.otherwise | replace("'", "''") }}'
        {%- endfor %}
        {% if not needs %}when false then ''{% endif %}
        else ''
    end
{%- endmacro %}

{# A need as a condition: `fact`, `facts` (their sum) or `column` exists, or is `at_least` or `at_most` a value, or is `below`
   another fact; `list` is a fact with at least one item. #}
{% macro is_met(need) -%}
    {%- if need.list -%}
        length({{ json_text('facts', need.list) }}) > 2
    {%- else -%}
        {%- set terms = [] -%}
        {%- for fact in need.facts or [need.fact] if fact -%}
            {%- do terms.append(json_text('facts', fact)) -%}
        {%- endfor -%}
        {%- if 'at_least' in need or 'at_most' in need or need.below -%}
            {%- set value = need.column or "cast(" ~ terms | join(" as double) + cast(") ~ " as double)" -%}
            {%- if 'at_least' in need -%}
                {{ value }} >= {{ need.at_least }}
            {%- elif 'at_most' in need -%}
                {{ value }} <= {{ need.at_most }}
            {%- else -%}
                {{ value }} < cast({{ json_text('facts', need.below) }} as double)
            {%- endif -%}
        {%- else -%}
            {{ need.column or terms[0] }} is not null
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Keys of the records that must exist first; none. #}
{% macro no_references() -%}
    to_json({{ text_list([]) }})
{%- endmacro %}

{# A record's name from its subject: 'Contacts', sales/health-care becomes "Contacts: sales, health care". #}
{% macro titled(title, entity) -%}
    concat_ws('', '{{ title }}: ', replace(replace(replace({{ entity }}, '_', ' '), '-', ' '), '/', ', '))
{%- endmacro %}

{# A record's name by its entity, where `names` has one; otherwise its title, as in titled. #}
{% macro called(entity, names, title) -%}
    case {{ entity }}
        {%- for its, name in names.items() %}
        when '{{ its }}' then '{{ name }}'
        {%- endfor %}
        else {{ titled(title, entity) }}
    end
{%- endmacro %}

{# A row of rpt_next_steps: the action for rows of `relation` that meet `where`, and the reason, both from the caller. `answer` is
   SQL for the record that Mavera may have answered about it. #}
{% macro next_step(step, urgency, figure, relation, where, count='count(*)', answer='null') -%}
    select
        '{{ step }}' as step,
        {{ urgency }} as urgency,
        '{{ figure }}' as figure,
        cast({{ count }} as bigint) as affected_count,
        cast({{ answer }} as {{ dbt.type_string() }}) as record_key,
        {{ caller() }}
    from {{ relation }}
    where {{ where }}
{%- endmacro %}
