with placed as (

    select
        person_id,
        case when reading_kind = 'Viewing' then 'video' else 'mail' end as activity,
        device_class,
        local_weekday,
        local_hour,
        local_on,
        max(local_on) over () as measured_to
    from {{ ref('int_reading_events') }}
    where local_hour is not null

),

readings as (

    select * from placed where {{ dbt.datediff('local_on', 'measured_to', 'day') }} < {{ var('reading_window_days') }}

),

windows as (

    select min(local_on) as measured_from, max(local_on) as measured_to from readings

),

weekdays as (

    {% for weekday in range(1, 8) -%}
    select
        {{ weekday }} as local_weekday,
        measured_from,
        measured_to,
        1 + ({{ dbt.datediff('measured_from', 'measured_to', 'day') }}) as day_count,
        {{ weekdays_between(weekday, 'measured_from', 'measured_to') }} as exposed_day_count
    from windows
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select person_id, activity, device_class, local_weekday, local_hour, count(*) as event_count
    from readings
    group by person_id, activity, device_class, local_weekday, local_hour

),

cells as (

    select person_id, activity, device_class, local_weekday, local_hour, event_count
    from counted
    where device_class is not null
    union all
    select person_id, activity, 'any' as device_class, local_weekday, local_hour, sum(event_count) as event_count
    from counted
    group by person_id, activity, local_weekday, local_hour

),

shares as (

    select
        *,
        sum(event_count) over (partition by person_id, activity, device_class) as person_event_count
    from cells

),

people as (

    select person_id, activity, device_class, sum(event_count) as event_count
    from cells
    group by person_id, activity, device_class

),

groups as (

    select
        segments.segment_kind,
        segments.segment_id,
        people.activity,
        people.device_class,
        max(segments.segment_name) as segment_name,
        count(*) as segment_person_count,
        cast(sum(people.event_count) as bigint) as segment_event_count
    from {{ ref('int_people_segmented') }} as segments
    join people on segments.person_id = people.person_id
    group by segments.segment_kind, segments.segment_id, people.activity, people.device_class

),

hours as (

    select
        segments.segment_kind,
        segments.segment_id,
        shares.activity,
        shares.device_class,
        shares.local_weekday,
        shares.local_hour,
        count(*) as person_count,
        cast(sum(shares.event_count) as bigint) as event_count,
        -- Every person counts once, whatever the number of events. Decimal, so that the sum does not depend on the order of its rows.
        sum(cast({{ share('shares.event_count', 'shares.person_event_count') }} as decimal(38, 16))) as event_share_sum
    from {{ ref('int_people_segmented') }} as segments
    join shares on segments.person_id = shares.person_id
    group by
        segments.segment_kind, segments.segment_id, shares.activity, shares.device_class, shares.local_weekday, shares.local_hour

),

measured as (

    select
        hours.*,
        groups.segment_name,
        groups.segment_person_count,
        groups.segment_event_count,
        weekdays.exposed_day_count,
        weekdays.measured_from,
        weekdays.measured_to,
        {{ share('hours.event_share_sum', 'groups.segment_person_count') }} as mean_event_share,
        {{ share('weekdays.exposed_day_count', '24 * weekdays.day_count') }} as exposure_share,
        least(cast(hours.event_share_sum as double), groups.segment_person_count) as compared_count
    from hours
    join groups
        on hours.segment_kind = groups.segment_kind
        and hours.segment_id = groups.segment_id
        and hours.activity = groups.activity
        and hours.device_class = groups.device_class
    join weekdays on hours.local_weekday = weekdays.local_weekday

)

select
    segment_kind,
    segment_id,
    activity,
    device_class,
    cast(local_weekday as integer) as local_weekday,
    cast(local_hour as integer) as local_hour,
    segment_name,
    segment_person_count,
    person_count,
    segment_event_count,
    event_count,
    exposed_day_count,
    {{ share('event_count', 'exposed_day_count') }} as events_per_hour,
    mean_event_share,
    exposure_share,
    {{ share('mean_event_share', 'exposure_share') }} as hour_index,
    {{ wilson_low('compared_count', 'segment_person_count') }} / nullif(exposure_share, 0) as hour_index_low,
    {{ wilson_high('compared_count', 'segment_person_count') }} / nullif(exposure_share, 0) as hour_index_high,
    {{ is_small('segment_person_count') }} as is_small_sample,
    measured_from,
    measured_to
from measured
