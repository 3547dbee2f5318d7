{#- A message touches a buyer when it is opened or clicked, or by what else var attribution lists. -#}
{%- set windows = var('attribution').last_touch_hours -%}
{%- set counted = 'true' if var('attribution').automatic_touches else 'not touches.is_automatic' -%}

with touches as (

    select
        buyer_id,
        person_id,
        coalesce(campaign_id, message_id) as message_id,
        campaign_id,
        flow_id,
        channel,
        is_automatic,
        case metric_role{% for role, hours in windows.items() %} when '{{ role }}' then {{ 3600 * hours }}{% endfor %} end as earning_seconds,
        happened_at
    from {{ ref('fct_customer_events') }}
    where message_id is not null and metric_role in ('{{ windows | join("', '") }}')

),

near as (

    select
        orders.order_id,
        touches.*,
        {{ counted }} as is_counted,
        {{ dbt.datediff('touches.happened_at', 'orders.ordered_at', 'second') }} <= touches.earning_seconds as is_earning
    from {{ ref('fct_orders') }} as orders
    join touches on orders.buyer_id = touches.buyer_id and touches.happened_at <= orders.ordered_at
    where {{ dbt.datediff('touches.happened_at', 'orders.ordered_at', 'second') }} <= {{ 86400 * var('attribution').lookback_days }}

)

select
    order_id,
    message_id,
    min(buyer_id) as buyer_id,
    min(person_id) as person_id,
    min(campaign_id) as campaign_id,
    min(flow_id) as flow_id,
    min(channel) as channel,
    count(*) filter (where is_counted) as touch_count,
    min(case when is_counted then happened_at end) as first_touched_at,
    max(case when is_counted then happened_at end) as last_touched_at,
    max(case when is_counted and is_earning then happened_at end) as earned_at,
    max(case when is_automatic and is_earning then happened_at end) as machine_touched_at
from near
group by order_id, message_id
