with

views as (

    select
        *,
        case when watched_share >= {{ var('follow_up_whole_from') }} then 'whole' else 'nearly_whole' end as watched,
        count(*) over (partition by person_id) as media_count,
        row_number() over (partition by person_id order by last_viewed_at desc, media_id) as recency
    from {{ ref('qualified_viewers') }}

),

staged as (

    select
        *,
        case
            {% for rule in var('follow_up_stages') -%}
            when media_count >= {{ rule.media_count_from }} then '{{ rule.stage }}'
            {% endfor -%}
        end as stage
    from views

),

-- What can be said of a lead, the most telling first, and of how many people it is true.
cohorts as (

    {% for keys in [['media_id', 'stage', 'watched'], ['media_id', 'stage'], ['media_id'], ['stage']] -%}
    select
        {{ loop.index }} as coarseness,
        {% for column in ['media_id', 'stage', 'watched'] -%}
        {{ column if column in keys else "cast(null as " ~ dbt.type_string() ~ ")" }} as {{ column }},
        {% endfor -%}
        count(distinct person_id) as person_count
    from staged
    group by {{ keys | join(', ') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

leads as (

    select * from staged where recency = 1

),

fitting as (

    select
        leads.person_id,
        cohorts.*,
        row_number() over (partition by leads.person_id order by cohorts.coarseness) as choice
    from leads
    join cohorts
        on (cohorts.media_id is null or cohorts.media_id = leads.media_id)
        and (cohorts.stage is null or cohorts.stage = leads.stage)
        and (cohorts.watched is null or cohorts.watched = leads.watched)
    where cohorts.person_count >= {{ var('smallest_group') }}

),

latest as (

    select max(last_viewed_at) as last_viewed_at from views

)

select
    leads.person_id,
    nullif(concat_ws('/', fitting.media_id, fitting.stage, fitting.watched), '') as cohort,
    leads.media_id,
    leads.media_name,
    leads.stage,
    leads.watched,
    case when fitting.media_id is not null then leads.media_name end as cohort_media_name,
    fitting.stage as cohort_stage,
    fitting.watched as cohort_watched,
    leads.media_count,
    fitting.person_count as cohort_person_count,
    {{ dbt.datediff('leads.last_viewed_at', 'latest.last_viewed_at', 'day') }} < {{ var('follow_up_days') }} as is_recent,
    leads.last_viewed_at
from leads
cross join latest
left join fitting on leads.person_id = fitting.person_id and fitting.choice = 1
