with summed as (

    select
        device_class,
        cast(sum(open_count) as bigint) as open_count,
        cast(sum(daily_unique_open_count) as bigint) as daily_unique_open_count,
        happened_on
    from {{ ref('stg_sendgrid__device_stats') }}
    group by device_class, happened_on

),

with_total as (

    select
        *,
        sum(daily_unique_open_count) over (partition by happened_on) as total_count
    from summed

)

select
    device_class,
    open_count,
    daily_unique_open_count,
    {{ share('daily_unique_open_count', 'total_count') }} as unique_open_share,
    {{ wilson_low('daily_unique_open_count', 'total_count') }} as unique_open_share_low,
    {{ wilson_high('daily_unique_open_count', 'total_count') }} as unique_open_share_high,
    {{ is_small('total_count') }} as is_small_sample,
    happened_on
from with_total
