{%- set days, rate_days = var('headline_days'), var('headline_rate_days') -%}

with mail_day as (

    select max(happened_on) as last_day from {{ ref('fct_engagement_daily') }}

),

mail_days as (

    select
        mail.delivered_count,
        mail_day.last_day,
        {{ window_of('mail.happened_on', 'mail_day.last_day', days) }} as window_number
    from {{ ref('fct_engagement_daily') }} as mail
    cross join mail_day

),

sends as (

    select
        sends.*,
        mail_day.last_day,
        {{ window_of('cast(sends.sent_at as date)', 'mail_day.last_day', rate_days) }} as window_number
    from {{ ref('fct_single_sends') }} as sends
    cross join mail_day
    where sends.status = 'triggered'

),

view_day as (

    select cast(max(last_viewed_at) as date) as last_day from {{ ref('dim_viewers') }}

),

viewers as (

    select
        view_day.last_day,
        {{ window_of('cast(viewers.first_viewed_at as date)', 'view_day.last_day', days) }} as window_number
    from {{ ref('dim_viewers') }} as viewers
    cross join view_day

),

action_day as (

    select max(happened_on) as last_day from {{ ref('fct_customer_events_daily') }}

),

customers as (

    select
        action_day.last_day,
        {{ window_of('cast(customers.created_at as date)', 'action_day.last_day', days) }} as window_number
    from {{ ref('dim_customers') }} as customers
    cross join action_day

),

orders as (

    select
        actions.event_count,
        actions.currency,
        actions.value_amount,
        account.currency as account_currency,
        case when actions.currency = account.currency then actions.value_amount end as revenue,
        case when actions.currency = account.currency then actions.returned_amount end as returned_amount,
        action_day.last_day,
        {{ window_of('actions.happened_on', 'action_day.last_day', days) }} as window_number
    from {{ ref('fct_customer_events_daily') }} as actions
    cross join action_day
    cross join {{ ref('int_account_currency') }} as account
    where actions.metric_id in (select metric_id from {{ ref('int_metric_roles') }} where metric_role = 'placed_order')

),

-- Amounts in other currencies are not part of the revenue: the number and value of those orders.
other_currencies as (

    select
        currency,
        sum(event_count) as order_count,
        sum(value_amount) as revenue
    from orders
    where window_number = 0 and currency not in ('none', account_currency)
    group by currency

),

left_out as (

    select
        cast(coalesce(sum(order_count), 0) as bigint) as other_currency_order_count,
        {{ dbt.listagg("concat(cast(cast(revenue as decimal(18, 2)) as " ~ dbt.type_string() ~ "), ' ', currency)", "', '", 'order by currency') }}
            as other_currency_revenue
    from other_currencies

),

-- The canceled or refunded part of the revenue so far. Returns of the latest orders are incomplete, so they have no comparison.
returned as (

    select cast(coalesce(sum(returned_amount), 0) as double) as returned_amount
    from orders
    where window_number = 0

),

credit_days as (

    select
        credits,
        cast(date_trunc('month', called_on) as date) as month_from,
        max(called_on) over () as last_day
    from {{ ref('fct_credits') }}

),

credits_spent as (

    select
        credits,
        last_day,
        {{ dbt.datediff('month_from', 'last_day', 'month') }} as window_number
    from credit_days

),

{# The figures to add up: a measure, its rows and the count of each. -#}
{% set counts = [
    ['delivered', 'mail_days', 'delivered_count', days],
    ['new_viewers', 'viewers', '1', days],
    ['new_customers', 'customers', '1', days],
    ['orders', 'orders', 'event_count', days],
    ['revenue', 'orders', 'revenue', days],
    ['credits', 'credits_spent', 'credits', 'cast(null as bigint)'],
] -%}

summed as (

    {% for measure, rows, amount, window_days in counts -%}
    select
        '{{ measure }}' as measure,
        {{ window_days }} as window_days,
        cast(coalesce(sum(case when window_number = 0 then {{ amount }} end), 0) as double) as amount,
        cast(coalesce(sum(case when window_number = 1 then {{ amount }} end), 0) as double) as amount_before,
        cast(null as bigint) as whole_count,
        cast(null as bigint) as whole_count_before,
        cast({{ dbt.dateadd('day', 0 if measure == 'credits' else -1, 'max(last_day)') }} as date) as measured_to
    from {{ rows }}
    having count(*) > 0
    union all
    {% endfor -%}
    {% for measure, part in [['open_rate', 'unique_open_count'], ['click_rate', 'unique_click_count']] -%}
    select
        '{{ measure }}',
        {{ rate_days }},
        cast(sum(case when window_number = 0 then {{ part }} end) as double),
        cast(sum(case when window_number = 1 then {{ part }} end) as double),
        cast(sum(case when window_number = 0 then delivered_count end) as bigint),
        cast(sum(case when window_number = 1 then delivered_count end) as bigint),
        cast({{ dbt.dateadd('day', -1, 'max(last_day)') }} as date)
    from sends
    having count(*) > 0
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

compared as (

    select
        *,
        measure in ('open_rate', 'click_rate') as is_rate,
        measure in ('open_rate', 'click_rate', 'new_viewers', 'new_customers', 'orders') as is_tested,
        case
            when whole_count is not null
                then {{ two_proportion_z('amount', 'whole_count', 'amount_before', 'whole_count_before') }}
            -- Counts of independent events have a variance equal to the count.
            when measure in ('new_viewers', 'new_customers', 'orders')
                then (amount - amount_before) / nullif(sqrt(greatest(0, amount + amount_before)), 0)
        end as z_score
    from summed

),

tested as (

    select *, {{ two_sided_p('z_score') }} as p_value from compared

),

judged as (

    {{ with_adjusted_p('tested', [['', 'is_tested']]) }}

)

select
    judged.measure,
    case sign(case when is_tested then z_score else amount - amount_before end) when 1 then 'more' when -1 then 'less' end as direction,
    case when judged.measure = 'revenue' then account.currency end as currency,
    case when judged.measure = 'revenue' then left_out.other_currency_revenue end as other_currency_revenue,
    case when judged.measure = 'revenue' then left_out.other_currency_order_count end as other_currency_order_count,
    window_days,
    case when is_rate then {{ share('amount', 'whole_count') }} else amount end as amount,
    case when is_rate then {{ share('amount_before', 'whole_count_before') }} else amount_before end as amount_before,
    case when judged.measure = 'revenue' then amount - returned.returned_amount end as net_amount,
    whole_count,
    whole_count_before,
    -- An incomplete month is not compared with a complete one.
    case when not is_rate and measure <> 'credits' then {{ share('amount', 'amount_before') }} - 1 end as change_share,
    is_rate,
    is_rate and ({{ is_small('whole_count') }} or {{ is_small('whole_count_before') }}) as is_small_sample,
    adjusted_p_value < {{ var('false_discovery_below') }} as is_surely_different,
    measured_to
from judged
cross join {{ ref('int_account_currency') }} as account
cross join left_out
cross join returned
