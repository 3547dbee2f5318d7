with sessions as (

    select
        *,
        row_number() over (partition by viewer_id order by viewed_at desc, viewing_event_id desc) as recency
    from {{ ref('stg_wistia__viewing_events') }}
    where viewer_id is not null

),

latest as (

    select * from sessions where recency = 1

),

emails as (

    select
        viewer_id,
        min_by(email, recency) filter (where email is not null) as session_email,
        min_by(conversion_email, recency) filter (where conversion_email is not null) as conversion_email
    from sessions
    group by viewer_id

),

visitors as (

    select * from {{ ref('stg_wistia__visitors') }}

)

select
    latest.viewer_id,
    coalesce(visitors.email, emails.session_email, emails.conversion_email) as email,
    latest.country,
    latest.region,
    coalesce(visitors.browser, latest.browser) as browser,
    coalesce(visitors.platform, latest.platform) as platform,
    visitors.load_count,
    visitors.play_count,
    coalesce(visitors.is_mobile, latest.is_mobile) as is_mobile
from latest
join emails on latest.viewer_id = emails.viewer_id
left join visitors on latest.viewer_id = visitors.viewer_id
