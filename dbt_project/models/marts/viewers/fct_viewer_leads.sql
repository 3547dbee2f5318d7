with

views as (

    select
        *,
        case when watched_share >= {{ var('follow_up_whole_from') }} then 'whole' else 'nearly_whole' end as watched,
        count(*) over (partition by person_id) as media_count,
        row_number() over (partition by person_id order by last_viewed_at desc, media_id) as recency,
        max(last_viewed_at) over () as newest_view_at
    from {{ ref('fct_qualified_viewers') }}

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

-- Statements about a lead, the most informative first, with the number of people they apply to: a row is a person and a media.
counted as (

    select
        *,
        count(*) over (partition by media_id, stage, watched) as media_stage_watched_count,
        count(*) over (partition by media_id, stage) as media_stage_count,
        count(*) over (partition by media_id) as media_person_count,
        sum(case when recency = 1 then 1 else 0 end) over (partition by stage) as stage_count
    from staged

),

told as (

    select
        *,
        case
            when media_stage_watched_count >= {{ var('smallest_group') }} then 'media, stage, watched'
            when media_stage_count >= {{ var('smallest_group') }} then 'media, stage'
            when media_person_count >= {{ var('smallest_group') }} then 'media'
            when stage_count >= {{ var('smallest_group') }} then 'stage'
        end as telling
    from counted
    where recency = 1

),

leads as (

    select
        *,
        case when telling like 'media%' then media_id end as cohort_media_id,
        case when telling like 'media%' then media_name end as cohort_media_name,
        case when telling like '%stage%' then stage end as cohort_stage,
        case when telling like '%watched' then watched end as cohort_watched,
        cast(case telling
            when 'media, stage, watched' then media_stage_watched_count
            when 'media, stage' then media_stage_count
            when 'media' then media_person_count
            when 'stage' then stage_count
        end as bigint) as cohort_person_count
    from told

)

select
    leads.person_id,
    case when telling is not null then concat_ws('/', cohort_media_id, cohort_stage, cohort_watched) end as cohort,
    media_id,
    media_name,
    stage,
    watched,
    cohort_media_name,
    cohort_stage,
    cohort_watched,
    media_count,
    cohort_person_count,
    {{ dbt.datediff('last_viewed_at', 'newest_view_at', 'day') }} < {{ var('follow_up_days') }} as is_recent,
    coalesce(people.may_be_mailed, false) as may_be_mailed,
    last_viewed_at
from leads
left join {{ ref('dim_people') }} as people on leads.person_id = people.person_id
