{#- The origin of each fact, as declared by the jobs (macro declared_facts). The marts come from the graph and not from ref, which
    dbt would need before it has read any YAML. Each job's own model reads them, so they are built before this one. -#}
{%- set declared = declared_facts() -%}
with

wanted as (

    {% for kind in ['personas', 'brand-voices', 'analyses', 'focus-groups', 'generations'] -%}
    select
        '{{ kind }}' as kind,
        record_key,
        job,
        substr(record_key, length(job) + 2) as entity
    from {{ ref('sync_mavera__' ~ kind | replace('-', '_')) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- One row per fact that a job declares.
declared as (

    {% for fact in declared -%}
    select
        '{{ fact.kind }}' as kind,
        '{{ fact.job }}' as job,
        '{{ fact.name }}' as fact_name,
        '{{ fact.model }}' as model_name,
        '{{ fact.column }}' as column_name,
        '{{ fact.count or '' }}' as counted_name,
        '{{ fact.origin }}' as origin,
        {{ 'true' if fact.key else 'false' }} as is_by_entity
    {{ 'union all' if not loop.last }}
    {% else -%}
    select
        '' as kind, '' as job, '' as fact_name, '' as model_name, '' as column_name, '' as counted_name, '' as origin,
        false as is_by_entity
    where 1 = 0
    {% endfor %}

),

-- One row per origin and entity: how many rows of the mart it has, what they count, and when.
behind as (

    {% for fact in declared if fact.relation and fact.is_first -%}
    select
        '{{ fact.origin }}' as origin,
        {{ fact.key or "''" }} as entity,
        count(*) as row_count,
        cast({{ 'sum(' ~ fact.count ~ ')' if fact.count else 'null' }} as bigint) as counted,
        cast({{ 'min(' ~ fact.measured_from ~ ')' if fact.measured_from else 'null' }} as date) as measured_from,
        cast({{ 'max(' ~ fact.measured_to ~ ')' if fact.measured_to else 'null' }} as date) as measured_to
    from {{ fact.relation }}
    {{ 'group by ' ~ fact.key if fact.key }}
    union all
    {% endfor -%}
    select
        '' as origin,
        '' as entity,
        cast(0 as bigint) as row_count,
        cast(null as bigint) as counted,
        cast(null as date) as measured_from,
        cast(null as date) as measured_to
    where 1 = 0

),

-- One row per fact with an interval and entity: the ends of the interval.
intervals as (

    {% for fact in declared if fact.interval -%}
    select
        '{{ fact.origin }}' as origin,
        '{{ fact.name }}' as fact_name,
        {{ fact.key or "''" }} as entity,
        cast(min({{ fact.column }}_low) as double) as interval_low,
        cast(max({{ fact.column }}_high) as double) as interval_high
    from {{ fact.relation }}
    {{ 'group by ' ~ fact.key if fact.key }}
    union all
    {% endfor -%}
    select '' as origin, '' as fact_name, '' as entity, cast(null as double) as interval_low, cast(null as double) as interval_high
    where 1 = 0

)

select
    wanted.kind,
    wanted.record_key,
    declared.fact_name,
    declared.model_name,
    declared.column_name,
    declared.counted_name,
    coalesce(behind.row_count, 0) as row_count,
    behind.counted,
    intervals.interval_low,
    intervals.interval_high,
    behind.measured_from,
    behind.measured_to
from wanted
join declared on wanted.kind = declared.kind and wanted.job = declared.job
left join behind
    on declared.origin = behind.origin
    and behind.entity = case when declared.is_by_entity then wanted.entity else '' end
left join intervals
    on declared.origin = intervals.origin
    and declared.fact_name = intervals.fact_name
    and intervals.entity = case when declared.is_by_entity then wanted.entity else '' end
