with jobs as (

    {% for job, its in var('jobs').items() -%}
    select '{{ job }}' as job, {{ loop.index }} as job_number, {{ its.enabled }} as is_enabled
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

calls as (

    select
        job,
        count(distinct case when state = 'done' then concat_ws('', kind, '/', record_key) end) as standing_count,
        count(distinct case when state = 'waiting' then concat_ws('', kind, '/', record_key) end) as waiting_count,
        cast(coalesce(sum(credits), 0) as bigint) as credits,
        max(begun_at) as last_called_at
    from {{ ref('int_mavera_calls') }}
    group by job

),

{# The results of each kind: their mart, and the column that counts its rows. -#}
{% set answers = [
    ['dim_personas', 'persona_count'],
    ['dim_brand_voices', 'brand_voice_count'],
    ['fct_analyses', 'analysis_count'],
    ['fct_focus_group_answers', 'respondent_answer_count'],
    ['fct_generations', 'text_count'],
] -%}

{% for model, column in answers -%}
{{ column }}s as (

    select job, count(*) as {{ column }}
    from {{ ref(model) }}
    {{ "where is_current" if model in ["dim_personas", "dim_brand_voices"] }}
    group by job

){{ ',' if not loop.last }}

{% endfor -%}

select
    jobs.job,
    jobs.job_number,
    jobs.is_enabled,
    findings.finding,
    coalesce(calls.standing_count, 0) as standing_count,
    coalesce(calls.waiting_count, 0) as waiting_count,
    coalesce(calls.credits, 0) as credits,
    {% for _, column in answers -%}
    coalesce({{ column }}s.{{ column }}, 0) as {{ column }},
    {% endfor -%}
    calls.last_called_at
from jobs
left join {{ ref('rpt_job_findings') }} as findings on jobs.job = findings.job
left join calls on jobs.job = calls.job
{% for _, column in answers -%}
left join {{ column }}s on jobs.job = {{ column }}s.job
{% endfor -%}
