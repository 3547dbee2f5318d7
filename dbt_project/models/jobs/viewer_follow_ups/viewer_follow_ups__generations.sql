-- A text per group of leads with the same history; the groups with the most leads that may be mailed come first.
with

cohorts as (

    select
        cohort,
        cohort_media_name,
        cohort_stage,
        cohort_watched,
        cohort_person_count,
        count(*) as lead_count,
        cast(max(last_viewed_at) as date) as measured_on
    from {{ ref('fct_viewer_leads') }}
    where is_recent and may_be_mailed and cohort is not null
    group by cohort, cohort_media_name, cohort_stage, cohort_watched, cohort_person_count

),

-- By the count in steps: between groups of similar size, noise must not decide which get a text.
ranked as (

    select
        *,
        row_number() over (order by {{ two_digits('lead_count', 5) }} desc, cohort) as cohort_position
    from cohorts

)

select
    cohort as entity,
    concat_ws('', 'Follow-up: ', coalesce({{ label('cohort_media_name') }}, 'any media')) as name,
    {{ facts_with_steps([
        ['media_name', label('cohort_media_name')],
        ['stage', 'cohort_stage'],
        ['watched', 'cohort_watched'],
        ['watched_share_above', var('qualified_share_above')],
    ]) }},
    cohort_person_count as person_count,
    lead_count as mailable_count,
    {{ no_references() }} as reference_keys,
    measured_on
from ranked
where cohort_position <= {{ var('follow_up_texts') }}
