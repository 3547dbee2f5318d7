with mail_day as (

    select max(happened_on) as last_day from {{ ref('fct_engagement_daily') }}

),

view_day as (

    select cast(max(last_viewed_at) as date) as last_day from {{ ref('dim_viewers') }}

),

action_day as (

    select max(happened_on) as last_day from {{ ref('fct_customer_events_daily') }}

),

mails as (

    select happened_on, delivered_count from {{ ref('fct_engagement_daily') }}

),

sends as (

    select
        cast(sent_at as date) as happened_on,
        unique_open_count,
        unique_click_count,
        delivered_count
    from {{ ref('fct_single_sends') }}
    where status = 'triggered'

),

viewers as (

    select cast(first_viewed_at as date) as happened_on from {{ ref('dim_viewers') }}

),

customers as (

    select cast(created_at as date) as happened_on from {{ ref('dim_customers') }}

),

orders as (

    select
        actions.happened_on,
        actions.event_count,
        case when actions.currency = account.currency then actions.value_amount end as revenue,
        case when actions.currency = account.currency then actions.returned_amount end as returned_amount
    from {{ ref('fct_customer_events_daily') }} as actions
    cross join {{ ref('int_account_currency') }} as account
    where actions.metric_id in (select metric_id from {{ ref('int_metric_roles') }} where metric_role = 'placed_order')

),

credits_spent as (

    select called_on as happened_on, credits from {{ ref('fct_credits') }}

),

credit_day as (

    select max(called_on) as last_day from {{ ref('fct_credits') }}

),

{# A measure, its rows, the count or amount of each, the denominator of a rate, the returned part, and the last day of the source. -#}
{% set measures = [
    ['delivered', 'mails', 'delivered_count', 'null', 'null', 'mail_day'],
    ['open_rate', 'sends', 'unique_open_count', 'delivered_count', 'null', 'mail_day'],
    ['click_rate', 'sends', 'unique_click_count', 'delivered_count', 'null', 'mail_day'],
    ['new_viewers', 'viewers', '1', 'null', 'null', 'view_day'],
    ['new_customers', 'customers', '1', 'null', 'null', 'action_day'],
    ['orders', 'orders', 'event_count', 'null', 'null', 'action_day'],
    ['revenue', 'orders', 'revenue', 'null', 'returned_amount', 'action_day'],
    ['credits', 'credits_spent', 'credits', 'null', 'null', 'credit_day'],
] -%}

counted as (

    {% for measure, rows, amount, whole, returned, last in measures -%}
    select
        '{{ measure }}' as measure,
        happened_on,
        cast(coalesce(sum({{ amount }}), 0) as double) as amount,
        cast(sum({{ whole }}) as bigint) as whole_count,
        cast(sum({{ returned }}) as double) as returned_amount,
        cast((select last_day from {{ last }}) as date) as last_day
    from {{ rows }}
    where happened_on is not null
    group by happened_on
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    counted.measure,
    case when counted.measure = 'revenue' then account.currency end as currency,
    counted.amount,
    counted.returned_amount,
    counted.whole_count,
    counted.happened_on,
    counted.last_day
from counted
cross join {{ ref('int_account_currency') }} as account
