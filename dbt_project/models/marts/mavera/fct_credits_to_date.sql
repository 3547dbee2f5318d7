with days as (

    select
        kind,
        cast(sum(credits) as bigint) as credits,
        called_on,
        cast(date_trunc('month', called_on) as date) as month_from
    from {{ ref('fct_credits') }}
    group by kind, called_on, cast(date_trunc('month', called_on) as date)

),

-- Every kind on every day with a call, so that each day has all earlier spending.
kinds as (

    select distinct kind, month_from from days

),

dates as (

    select
        called_on,
        month_from,
        cast(sum(sum(credits)) over (
            partition by month_from order by called_on rows between unbounded preceding and current row
        ) as bigint) as month_total_credits
    from days
    group by called_on, month_from

)

select
    kinds.kind,
    coalesce(days.credits, 0) as credits,
    cast(sum(coalesce(days.credits, 0)) over (
        partition by kinds.kind, kinds.month_from
        order by dates.called_on rows between unbounded preceding and current row
    ) as bigint) as month_credits,
    dates.month_total_credits,
    dates.called_on,
    lead(dates.called_on) over (partition by kinds.kind, kinds.month_from order by dates.called_on) as next_called_on,
    dates.month_from
from kinds
join dates on kinds.month_from = dates.month_from
left join days on kinds.kind = days.kind and dates.called_on = days.called_on
