with loads as (

    select
        *,
        row_number() over (partition by vendor, resource order by started_at desc, run_id) as recency
    from {{ ref('stg_operations__loads') }}

),

clock as (

    select max(finished_at) as measured_at from loads

),

-- A row with a date in the future would keep its source fresh forever.
newest as (

    {% for vendor, resource, model, moment in [
        ['sendgrid', 'global_stats', 'stg_sendgrid__global_stats', 'happened_on'],
        ['sendgrid', 'device_stats', 'stg_sendgrid__device_stats', 'happened_on'],
        ['wistia', 'events', 'stg_wistia__viewing_events', 'viewed_at'],
        ['wistia', 'media_stats', 'stg_wistia__media_stats', 'measured_on'],
        ['klaviyo', 'events', 'stg_klaviyo__events', 'happened_at'],
        ['klaviyo', 'profiles', 'stg_klaviyo__profiles', 'updated_at'],
        ['klaviyo', 'predictive_analytics', 'stg_klaviyo__predictive_analytics', 'measured_on'],
    ] -%}
    select
        '{{ vendor }}' as vendor,
        '{{ resource }}' as resource,
        max(case when {{ utc(moment) }} <= clock.measured_at then {{ utc(moment) }} end) as newest_row_at
    from {{ ref(model) }}
    cross join clock
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

summed as (

    select
        vendor,
        resource,
        max(case when recency = 1 then outcome end) as last_outcome,
        max(case when recency = 1 then new_row_count end) as new_row_count,
        max(case when recency = 1 then changed_row_count end) as changed_row_count,
        cast(sum(late_row_count) as bigint) as late_row_count,
        max(case when outcome = 'loaded' then finished_at end) as last_loaded_at
    from loads
    group by vendor, resource

),

aged as (

    select
        newest.*,
        ({{ dbt.datediff('newest.newest_row_at', 'clock.measured_at', 'second') }}) / cast(3600 as double) as hours_old,
        clock.measured_at
    from newest
    cross join clock

)

select
    aged.vendor,
    aged.resource,
    origins.world,
    summed.last_outcome,
    cast(aged.hours_old as double) as hours_old,
    cast({{ var('fresh_within_hours') }} as bigint) as limit_hours,
    summed.new_row_count,
    summed.changed_row_count,
    summed.late_row_count,
    aged.hours_old > {{ var('fresh_within_hours') }} as is_late,
    aged.newest_row_at,
    summed.last_loaded_at,
    aged.measured_at
from aged
join summed on aged.vendor = summed.vendor and aged.resource = summed.resource
left join {{ ref('stg_operations__origins') }} as origins on aged.vendor = origins.vendor
