with summed as (

    select
        browser,
        cast(sum(click_count) as bigint) as click_count,
        cast(sum(daily_unique_click_count) as bigint) as daily_unique_click_count,
        happened_on
    from {{ ref('stg_sendgrid__browser_stats') }}
    group by browser, happened_on

),

with_total as (

    select
        *,
        sum(daily_unique_click_count) over (partition by happened_on) as total_count
    from summed

)

select
    browser,
    click_count,
    daily_unique_click_count,
    {{ share('daily_unique_click_count', 'total_count') }} as unique_click_share,
    {{ wilson_low('daily_unique_click_count', 'total_count') }} as unique_click_share_low,
    {{ wilson_high('daily_unique_click_count', 'total_count') }} as unique_click_share_high,
    {{ is_small('total_count') }} as is_small_sample,
    happened_on
from with_total
