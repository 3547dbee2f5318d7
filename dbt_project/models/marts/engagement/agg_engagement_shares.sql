with measured as (

    select
        'device' as breakdown,
        'all' as country,
        device_class as label,
        daily_unique_open_count as part,
        happened_on
    from {{ ref('fct_opens_by_device_daily') }}
    union all
    select 'client', 'all', client, daily_unique_open_count, happened_on
    from {{ ref('fct_opens_by_client_daily') }}
    union all
    select 'country', 'all', country, daily_unique_open_count, happened_on
    from {{ ref('fct_engagement_by_country_daily') }}
    union all
    select 'province', country, province, daily_unique_open_count, happened_on
    from {{ ref('fct_engagement_by_province_daily') }}
    union all
    select 'browser', 'all', browser, daily_unique_click_count, happened_on
    from {{ ref('fct_clicks_by_browser_daily') }}
    union all
    select 'mailbox_provider', 'all', mailbox_provider, delivered_count, happened_on
    from {{ ref('fct_delivery_by_provider_daily') }}

),

-- The last day reported by SendGrid ends the window: with the clock, the same data would give other shares.
windows as (

    select max(happened_on) as measured_to from {{ ref('fct_engagement_daily') }}

),

summed as (

    select
        measured.breakdown,
        measured.country,
        measured.label,
        cast(sum(measured.part) as bigint) as summed_daily_count,
        min(measured.happened_on) as measured_from,
        windows.measured_to
    from measured
    cross join windows
    where {{ in_window('measured.happened_on', 'windows.measured_to') }}
    group by measured.breakdown, measured.country, measured.label, windows.measured_to

),

with_total as (

    select
        *,
        cast(sum(summed_daily_count) over (partition by breakdown, country) as bigint) as total_count,
        min(measured_from) over (partition by breakdown, country) as first_measured_on
    from summed

)

select
    breakdown,
    country,
    label,
    case breakdown
        when 'browser' then 'unique clicks'
        when 'mailbox_provider' then 'delivered'
        else 'unique opens'
    end as measure,
    summed_daily_count,
    total_count,
    {{ share_with_interval('summed_daily_count', 'total_count', 'share') }},
    {{ is_small('total_count') }} as is_small_sample,
    first_measured_on as measured_from,
    measured_to
from with_total
