with windows as (

    select max(happened_on) as measured_to from {{ ref('fct_engagement_daily') }}

),

sent as (

    select sends.*
    from {{ ref('fct_single_sends') }} as sends
    cross join windows
    where sends.status = 'triggered'
        and {{ in_window('cast(sends.sent_at as date)', 'windows.measured_to') }}

),

summed as (

    select
        count(*) as single_send_count,
        cast(coalesce(sum(delivered_count), 0) as bigint) as delivered_count,
        cast(coalesce(sum(unique_open_count), 0) as bigint) as unique_open_count,
        cast(coalesce(sum(unique_click_count), 0) as bigint) as unique_click_count
    from sent

)

select
    summed.single_send_count,
    summed.delivered_count,
    summed.unique_open_count,
    summed.unique_click_count,
    {{ share_with_interval('summed.unique_open_count', 'summed.delivered_count', 'unique_open_share') }},
    {{ share_with_interval('summed.unique_click_count', 'summed.delivered_count', 'unique_click_share') }},
    {{ is_small('summed.delivered_count') }} as is_small_sample,
    windows.measured_to
from summed
cross join windows
