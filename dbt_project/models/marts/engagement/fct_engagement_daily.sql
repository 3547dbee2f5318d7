{%- set look_back -%}
    over (order by happened_on range between interval {{ var('engagement_window_days') - 1 }} days preceding and current row)
{%- endset -%}

with rolling as (

    select
        *,
        sum(delivered_count) {{ look_back }} as rolling_delivered_count,
        sum(daily_unique_open_count) {{ look_back }} as rolling_open_count,
        sum(daily_unique_click_count) {{ look_back }} as rolling_click_count
    from {{ ref('stg_sendgrid__global_stats') }}

)

select
    request_count,
    processed_count,
    delivered_count,
    deferred_count,
    open_count,
    daily_unique_open_count,
    click_count,
    daily_unique_click_count,
    bounce_count,
    bounce_drop_count,
    block_count,
    invalid_email_count,
    spam_report_count,
    spam_report_drop_count,
    unsubscribe_count,
    unsubscribe_drop_count,
    cast(rolling_delivered_count as bigint) as rolling_delivered_count,
    {{ share('rolling_open_count', 'rolling_delivered_count') }} as rolling_open_share,
    {{ wilson_low('rolling_open_count', 'rolling_delivered_count') }} as rolling_open_share_low,
    {{ wilson_high('rolling_open_count', 'rolling_delivered_count') }} as rolling_open_share_high,
    {{ share('rolling_click_count', 'rolling_delivered_count') }} as rolling_click_share,
    {{ wilson_low('rolling_click_count', 'rolling_delivered_count') }} as rolling_click_share_low,
    {{ wilson_high('rolling_click_count', 'rolling_delivered_count') }} as rolling_click_share_high,
    {{ is_small('rolling_delivered_count') }} as is_small_sample,
    happened_on
from rolling
