with sessions as (

    select * from {{ ref('stg_wistia__viewing_events') }}

),

snapshots as (

    select snapshots.*, profiles.customer_id is null as has_no_profile
    from {{ ref('stg_klaviyo__predictive_analytics') }} as snapshots
    left join {{ ref('stg_klaviyo__profiles') }} as profiles on snapshots.customer_id = profiles.customer_id

)

select
    'wistia' as vendor,
    'viewing sessions' as things,
    'percent_viewed out of range' as reason,
    count(*) filter (where served_percent_viewed is not null and watched_share is null) as row_count,
    count(*) as total_count
from sessions
union all
select 'wistia', 'viewing sessions', 'percent_viewed missing', count(*) filter (where served_percent_viewed is null), count(*)
from sessions
union all
select
    'wistia', 'viewing sessions', 'viewer or media missing', count(*) filter (where viewer_id is null or media_id is null),
    count(*)
from sessions
union all
select
    'klaviyo', 'predictions', 'churn_probability out of range',
    count(*) filter (where served_churn_probability is not null and churn_probability is null), count(*)
from snapshots
union all
select 'klaviyo', 'predictions', 'profile missing', count(*) filter (where has_no_profile), count(*)
from snapshots
