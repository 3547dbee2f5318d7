{%- set breakdowns = [
    ['device', 'fct_opens_by_device_daily', "'all'", 'device_class', 'daily_unique_open_count'],
    ['client', 'fct_opens_by_client_daily', "'all'", 'client', 'daily_unique_open_count'],
    ['country', 'fct_engagement_by_country_daily', "'all'", 'country', 'daily_unique_open_count'],
    ['province', 'fct_engagement_by_province_daily', 'country', 'province', 'daily_unique_open_count'],
    ['browser', 'fct_clicks_by_browser_daily', "'all'", 'browser', 'daily_unique_click_count'],
    ['mailbox_provider', 'fct_delivery_by_provider_daily', "'all'", 'mailbox_provider', 'delivered_count'],
] -%}

with measured as (

    {% for breakdown, mart, country, label, part in breakdowns -%}
    select
        '{{ breakdown }}' as breakdown,
        {{ country }} as country,
        {{ label }} as label,
        {{ part }} as part,
        happened_on
    from {{ ref(mart) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- Days on which the account had something to break down.
account_days as (

    {% for breakdown, mart, country, label, part in breakdowns -%}
    select
        '{{ breakdown }}' as breakdown,
        cast(date_trunc('month', happened_on) as date) as month_from,
        happened_on,
        {{ part }} as account_part
    from {{ ref('fct_engagement_daily') }}
    where {{ part }} > 0
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

measured_days as (

    select distinct breakdown, happened_on from measured where part > 0

),

coverage as (

    select
        account_days.breakdown,
        account_days.month_from,
        count(measured_days.happened_on) as day_count,
        count(*) - count(measured_days.happened_on) as gap_day_count
    from account_days
    left join measured_days
        on account_days.breakdown = measured_days.breakdown
        and account_days.happened_on = measured_days.happened_on
    group by account_days.breakdown, account_days.month_from

),

-- The first and last month that SendGrid reports may be parts of months.
ends as (

    select min(happened_on) as first_on, max(happened_on) as last_on from {{ ref('fct_engagement_daily') }}

),

summed as (

    select
        breakdown,
        country,
        label,
        cast(date_trunc('month', happened_on) as date) as month_from,
        cast(sum(part) as bigint) as summed_daily_count
    from measured
    group by breakdown, country, label, cast(date_trunc('month', happened_on) as date)

),

with_total as (

    select
        *,
        cast(sum(summed_daily_count) over (partition by breakdown, country, month_from) as bigint) as total_count
    from summed

),

shares as (

    select
        *,
        {{ share_with_interval('summed_daily_count', 'total_count', 'share') }}
    from with_total

)

select
    shares.breakdown,
    shares.country,
    shares.label,
    case shares.breakdown
        when 'browser' then 'unique clicks'
        when 'mailbox_provider' then 'delivered'
        else 'unique opens'
    end as measure,
    shares.summed_daily_count,
    shares.total_count,
    shares.share,
    shares.share_low,
    shares.share_high,
    shares.share - month_before.share as share_change,
    coalesce(coverage.day_count, 0) as day_count,
    coalesce(coverage.gap_day_count, 0) as gap_day_count,
    coalesce(coverage.gap_day_count, 0) = 0
    and ends.first_on <= shares.month_from
    and ends.last_on >= cast({{ dbt.dateadd('day', -1, dbt.dateadd('month', 1, 'shares.month_from')) }} as date) as is_complete,
    {{ is_small('shares.total_count') }} as is_small_sample,
    shares.month_from
from shares
cross join ends
left join coverage on shares.breakdown = coverage.breakdown and shares.month_from = coverage.month_from
left join shares as month_before
    on shares.breakdown = month_before.breakdown
    and shares.country = month_before.country
    and shares.label = month_before.label
    and month_before.month_from = cast({{ dbt.dateadd('month', -1, 'shares.month_from') }} as date)
