with

leads as (

    select * from {{ ref('fct_viewer_leads') }} where is_recent

),

texts as (

    select
        *,
        row_number() over (partition by record_key order by asked_at desc, generation_id desc) as recency
    from {{ ref('fct_generations') }}
    where job = 'viewer-follow-ups'

)

select
    leads.person_id,
    leads.cohort,
    texts.generation_id,
    people.email,
    leads.media_name,
    leads.stage,
    leads.watched,
    texts.title,
    texts.generated_text,
    case
        when not leads.may_be_mailed then 'may_not_be_mailed'
        when texts.generated_text is not null then 'written'
        when leads.cohort is null then 'too_few_alike'
        else 'not_written'
    end as standing,
    leads.last_viewed_at,
    texts.answered_at as written_at
from leads
join {{ ref('int_people_matched') }} as people on leads.person_id = people.person_id
-- People who must not be mailed get no text: a text beside an address is sooner or later sent there.
left join texts
    on texts.record_key = concat_ws('', 'viewer-follow-ups:', leads.cohort) and texts.recency = 1 and leads.may_be_mailed
