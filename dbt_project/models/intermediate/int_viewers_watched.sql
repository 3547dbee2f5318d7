{{ growing('viewer_id', after=['stg_wistia__viewing_events'], whose='viewer_id') }}

with sessions as (

    select
        *,
        row_number() over (partition by viewer_id order by viewed_at desc, viewing_event_id desc) as recency
    from {{ ref('stg_wistia__viewing_events') }}
    where viewer_id is not null
        {%- if is_incremental() %}
        and {{ in_new_loads('viewer_id', 'stg_wistia__viewing_events') }}
        {%- endif %}

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

)

select
    latest.viewer_id,
    coalesce(emails.session_email, emails.conversion_email) as email,
    latest.country,
    latest.region,
    latest.browser,
    latest.platform,
    latest.is_mobile
from latest
join emails on latest.viewer_id = emails.viewer_id
