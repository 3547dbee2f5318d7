with consents as (

    -- Only Klaviyo has consent; without it nothing is known, unless all people unknown to Klaviyo may be mailed.
    select {{ 'true' if 'unknown' in var('mailed_consents') else 'coalesce(bool_or(is_people_read), false)' }} as are_known
    from {{ ref('dim_vendors') }}
    where vendor = 'klaviyo'

),

leads as (

    select
        coalesce(cohort, 'none') as cohort,
        cohort_media_name,
        cohort_stage,
        cohort_watched,
        count(*) as lead_count,
        count(*) filter (where is_recent) as recent_lead_count,
        count(*) filter (where is_recent and may_be_mailed) as mailable_lead_count,
        max(cohort_person_count) as cohort_person_count,
        max(last_viewed_at) as last_viewed_at
    from {{ ref('fct_viewer_leads') }}
    group by coalesce(cohort, 'none'), cohort_media_name, cohort_stage, cohort_watched

),

texts as (

    select distinct record_key from {{ ref('fct_generations') }} where job = 'viewer-follow-ups'

)

select
    leads.cohort,
    leads.cohort_media_name,
    leads.cohort_stage,
    leads.cohort_watched,
    leads.lead_count,
    leads.recent_lead_count,
    case when consents.are_known then leads.mailable_lead_count end as mailable_lead_count,
    leads.cohort_person_count,
    texts.record_key is not null as is_written,
    leads.last_viewed_at
from leads
cross join consents
left join texts on texts.record_key = concat_ws('', 'viewer-follow-ups:', leads.cohort)
