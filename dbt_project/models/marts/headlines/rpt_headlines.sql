with headlines as (

    {{ headlines(var('headline_days'), var('headline_rate_days')) }}

),

action_day as (

    select max(happened_on) as last_day from {{ ref('fct_customer_events_daily') }}

),

-- Amounts in other currencies are not part of the revenue: the number and value of those orders.
other_currencies as (

    select
        actions.currency,
        sum(actions.event_count) as order_count,
        sum(actions.value_amount) as revenue
    from {{ ref('fct_customer_events_daily') }} as actions
    cross join action_day
    cross join {{ ref('int_account_currency') }} as account
    where actions.metric_id in (select metric_id from {{ ref('int_metric_roles') }} where metric_role = 'placed_order')
        and {{ window_of('actions.happened_on', 'action_day.last_day', var('headline_days')) }} = 0
        and actions.currency not in ('none', account.currency)
    group by actions.currency

),

left_out as (

    select
        cast(coalesce(sum(order_count), 0) as bigint) as other_currency_order_count,
        {{ dbt.listagg("concat_ws('', cast(cast(revenue as decimal(18, 2)) as " ~ dbt.type_string() ~ "), ' ', currency)", "', '", 'order by currency') }}
            as other_currency_revenue
    from other_currencies

)

select
    headlines.measure,
    headlines.direction,
    headlines.currency,
    case when headlines.measure = 'revenue' then left_out.other_currency_revenue end as other_currency_revenue,
    case when headlines.measure = 'revenue' then left_out.other_currency_order_count end as other_currency_order_count,
    headlines.window_days,
    headlines.amount,
    headlines.amount_before,
    headlines.net_amount,
    headlines.whole_count,
    headlines.whole_count_before,
    headlines.change_share,
    headlines.is_rate,
    headlines.is_small_sample,
    headlines.is_surely_different,
    headlines.measured_to
from headlines
cross join left_out
