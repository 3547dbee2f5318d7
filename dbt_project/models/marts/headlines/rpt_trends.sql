{%- set days, rate_days = var('headline_days'), var('headline_rate_days') -%}

with days as (

    select
        *,
        measure in ('open_rate', 'click_rate') as is_rate,
        measure = 'credits' as is_monthly,
        min(happened_on) over (partition by measure) as first_day
    from {{ ref('agg_headline_days') }}

),

ages as (

    {% for age in range(var('trend_periods')) -%}
    select {{ age }} as age
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- Windows end a week apart, the latest with the headline's. Those of rates overlap; credits have calendar months.
windows as (

    select
        measures.*,
        ages.age,
        cast(case
            when is_monthly then {{ dbt.date_trunc('month', dbt.dateadd('month', '-ages.age', 'last_day')) }}
            when is_rate then {{ dbt.dateadd('day', '-' ~ rate_days ~ ' - ' ~ days ~ ' * ages.age', 'last_day') }}
            else {{ dbt.dateadd('day', '-' ~ days ~ ' - ' ~ days ~ ' * ages.age', 'last_day') }}
        end as date) as period_from,
        cast(case
            when is_monthly then {{ dbt.dateadd('day', -1, dbt.dateadd('month', '1 - ages.age', dbt.date_trunc('month', 'last_day'))) }}
            else {{ dbt.dateadd('day', '-1 - ' ~ days ~ ' * ages.age', 'last_day') }}
        end as date) as period_to
    from (select distinct measure, is_rate, is_monthly, first_day, last_day from days) as measures
    cross join ages

),

summed as (

    select
        windows.measure,
        windows.is_rate,
        windows.age,
        windows.period_from,
        windows.period_to,
        coalesce(sum(days.amount), 0) as amount,
        sum(days.whole_count) as whole_count
    from windows
    left join days
        on windows.measure = days.measure
        and days.happened_on between windows.period_from and windows.period_to
    -- Nothing is known of a period that began before the first day of its measure. The first month of credits is complete: they begin with the ledger.
    where windows.period_from >= windows.first_day or (windows.is_monthly and windows.period_to >= windows.first_day)
    group by windows.measure, windows.is_rate, windows.age, windows.period_from, windows.period_to

),

measured as (

    select
        *,
        case when is_rate then {{ share('amount', 'whole_count') }} else cast(amount as double) end as measured
    from summed

)

select
    measured.measure,
    case when measured.measure = 'revenue' then account.currency end as currency,
    cast(age as bigint) as age,
    cast(measured as double) as amount,
    min(measured) over (partition by measure) as lowest_amount,
    max(measured) over (partition by measure) as highest_amount,
    cast(whole_count as bigint) as whole_count,
    count(*) over (partition by measure) as period_count,
    is_rate,
    is_rate and {{ is_small('whole_count') }} as is_small_sample,
    age = 0 as is_latest,
    period_from,
    period_to
from measured
cross join {{ ref('int_account_currency') }} as account
where measured is not null
