with mails as (

    select
        events.customer_event_id as reading_event_id,
        {{ person_id('profiles.email') }} as person_id,
        {{ device_class_of('events.operating_system') }} as device_class,
        metrics.metric_name as reading_kind,
        events.happened_at
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    join {{ ref('stg_klaviyo__profiles') }} as profiles on events.customer_id = profiles.customer_id
    where metrics.metric_role in ('{{ var('reading_roles') | join("', '") }}')
        and profiles.email is not null
        and not events.is_automatic

),

viewings as (

    select
        sessions.viewing_event_id as reading_event_id,
        {{ person_id('viewers.email') }} as person_id,
        -- A session may lack its user agent, but a visitor key is one browser.
        case
            when coalesce(sessions.is_mobile, viewers.is_mobile) then 'mobile'
            when not coalesce(sessions.is_mobile, viewers.is_mobile) then 'desktop'
            else {{ device_class_of('coalesce(sessions.platform, viewers.platform)') }}
        end as device_class,
        'Viewing' as reading_kind,
        sessions.viewed_at as happened_at
    from {{ ref('stg_wistia__viewing_events') }} as sessions
    join {{ ref('int_viewers_identified') }} as viewers on sessions.viewer_id = viewers.viewer_id
    where viewers.email is not null and sessions.viewed_at is not null

),

events as (

    select * from mails
    union all
    select * from viewings

),

placed as (

    select
        events.*,
        people.country,
        people.region,
        people.is_own_time_zone,
        {{ local_time('events.happened_at', 'offsets.offset_seconds') }} as local_time
    from events
    join {{ ref('int_people_placed') }} as people on events.person_id = people.person_id
    left join {{ ref('time_zone_offsets') }} as offsets
        on people.time_zone = offsets.time_zone
        and events.happened_at >= offsets.from_at
        and events.happened_at < offsets.until_at

),

timed as (

    select
        *,
        extract(hour from local_time) as local_hour,
        cast(local_time as date) as local_on,
        -- Days, starting on a Monday.
        1 + mod({{ dbt.datediff("cast('1970-01-05' as date)", "cast(local_time as date)", 'day') }}, 7) as local_weekday
    from placed

)

select
    reading_kind,
    reading_event_id,
    person_id,
    device_class,
    country,
    region,
    case
        {%- for rule in var('day_parts') %}
        when local_hour >= {{ rule.hour_from }} and local_hour < {{ rule.hour_to }}
            {{- ' and local_weekday <= 5' if rule.weekdays_only }} then '{{ rule.day_part }}'
        {%- endfor %}
    end as day_part,
    local_weekday,
    local_hour,
    is_own_time_zone,
    local_on,
    happened_at
from timed
