with loads as (

    select
        case
            when vendor = 'klaviyo' and resource = 'segment_members' then 'segment'
            when vendor = 'klaviyo' and resource = 'list_members' then 'list'
            when vendor = 'klaviyo' and resource = 'predictive_analytics' then 'tier'
            when vendor = 'klaviyo' and resource = 'profiles' then 'consent'
            when vendor = 'wistia' and resource = 'events' then 'cluster'
        end as kind,
        finished_at
    from {{ ref('stg_operations__loads') }}
    where outcome = 'loaded' and request_count > 0

)

select
    kind,
    cast(finished_at as date) as read_on,
    max(finished_at) as read_at
from loads
where kind is not null
group by kind, cast(finished_at as date)
