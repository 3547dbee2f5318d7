with countries as (

    select
        place as country,
        open_count,
        daily_unique_open_count,
        click_count,
        daily_unique_click_count,
        sum(daily_unique_open_count) over (partition by happened_on) as total_count,
        happened_on
    from {{ ref('stg_sendgrid__geo_stats') }}
    where stat_type = 'country' and country_filter = ''

)

select
    country,
    open_count,
    daily_unique_open_count,
    click_count,
    daily_unique_click_count,
    {{ share('daily_unique_open_count', 'total_count') }} as unique_open_share,
    {{ wilson_low('daily_unique_open_count', 'total_count') }} as unique_open_share_low,
    {{ wilson_high('daily_unique_open_count', 'total_count') }} as unique_open_share_high,
    {{ is_small('total_count') }} as is_small_sample,
    happened_on
from countries
