-- Models of behavior end with the last day that has an event, not with the clock.
select
    'klaviyo' as vendor,
    min(cast(happened_at as date)) as observed_from,
    max(cast(happened_at as date)) as observed_until
from {{ ref('stg_klaviyo__events') }}
having max(happened_at) is not null
union all
select
    'wistia' as vendor,
    min(cast(viewed_at as date)) as observed_from,
    max(cast(viewed_at as date)) as observed_until
from {{ ref('stg_wistia__viewing_events') }}
having max(viewed_at) is not null
