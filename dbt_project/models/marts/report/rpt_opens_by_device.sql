with weeks as (

    select *, dense_rank() over (order by week_from desc) as week_number
    from {{ ref('fct_opens_by_device_weekly') }}

),

reported as (

    select *, max(week_number) over () as week_count
    from weeks
    where week_number <= {{ var('reported_weeks') }}

)

select
    device_class,
    summed_daily_unique_open_count,
    total_count,
    unique_open_share,
    unique_open_share_low,
    unique_open_share_high,
    day_count,
    is_small_sample,
    week_number = week_count as is_first_week,
    week_number = 1 as is_last_week,
    week_from
from reported
