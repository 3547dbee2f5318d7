with summed as (

    select
        device_class,
        cast(sum(daily_unique_open_count) as bigint) as summed_daily_unique_open_count,
        count(distinct happened_on) as day_count,
        cast(date_trunc('week', happened_on) as date) as week_from
    from {{ ref('fct_opens_by_device_daily') }}
    group by device_class, cast(date_trunc('week', happened_on) as date)

),

with_total as (

    select
        *,
        cast(sum(summed_daily_unique_open_count) over (partition by week_from) as bigint) as total_count
    from summed

)

select
    device_class,
    summed_daily_unique_open_count,
    total_count,
    {{ share_with_interval('summed_daily_unique_open_count', 'total_count', 'unique_open_share') }},
    day_count,
    {{ is_small('total_count') }} as is_small_sample,
    week_from
from with_total
