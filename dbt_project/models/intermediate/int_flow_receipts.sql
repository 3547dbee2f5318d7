{{ growing(
    'flow_receipt_id',
    after=['stg_klaviyo__events', 'int_amounts_read'],
    beside=['int_metric_roles', 'stg_klaviyo__flow_messages', 'stg_klaviyo__flow_actions', 'int_campaign_keys'],
) }}

-- The results of a flow's message, and the orders attributed to it.
with {% if is_incremental() -%}
fresh as (

    select events.customer_event_id, events.customer_id, events.message_id, events.shop_id, metrics.metric_role
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    where {{ came_since('events.load_id') }}

),

-- An order may be attributed to any message, and to another one than before; a refund may come long after its order.
buyers as (

    select customer_id from fresh where metric_role = 'placed_order'
    union
    select orders.customer_id
    from fresh
    join {{ ref('stg_klaviyo__events') }} as orders on fresh.shop_id = orders.shop_id
    where fresh.metric_role in ('refunded_order', 'cancelled_order')

),

followers as (

    select distinct customer_id, message_id from fresh

),

{% endif -%}
results as (

    select
        events.customer_event_id,
        events.customer_id,
        events.flow_id,
        events.message_id as flow_message_id,
        metrics.metric_role,
        events.is_automatic,
        events.happened_at,
        cast(null as decimal(18, 2)) as value,
        cast(null as decimal(18, 2)) as value_amount,
        false as is_unread,
        cast(null as decimal(18, 2)) as returned_amount,
        false as is_other_currency
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    where events.flow_id is not null
        and events.message_id is not null
        and (
            metrics.metric_role {{ in_roles('received') }}
            or metrics.metric_role {{ in_roles('opened') }}
            or metrics.metric_role {{ in_roles('clicked') }}
        )

    union all

    select
        events.customer_event_id,
        events.customer_id,
        attributed.flow_id,
        attributed.flow_message_id,
        metrics.metric_role,
        events.is_automatic,
        events.happened_at,
        case when amounts.is_account_currency then amounts.value_amount end as value,
        amounts.value_amount,
        amounts.unread_reason is not null as is_unread,
        case when amounts.is_account_currency then returned.returned_amount end as returned_amount,
        coalesce(not amounts.is_account_currency and amounts.value_amount is not null, false) as is_other_currency
    from {{ ref('int_events_attributed') }} as attributed
    join {{ ref('stg_klaviyo__events') }} as events on attributed.customer_event_id = events.customer_event_id
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    left join {{ ref('int_orders_returned') }} as returned on events.customer_event_id = returned.customer_event_id
    where metrics.metric_role = 'placed_order' and attributed.flow_message_id is not null

),

events as (

    select *
    from results
    {%- if is_incremental() %}
    where (customer_id, flow_message_id) in (select (customer_id, message_id) from followers)
        or customer_id in (select customer_id from buyers)
        or customer_event_id in (select customer_event_id from fresh)
    {%- endif %}

),

-- A person may get a message again: later events belong to the latest one before them.
received as (

    select
        *,
        lead(happened_at) over (
            partition by customer_id, flow_message_id order by happened_at, customer_event_id
        ) as received_again_at
    from events
    where metric_role {{ in_roles('received') }}

),

followed as (

    select
        received.customer_event_id,
        count(*) filter (where events.metric_role {{ in_roles('opened') }} and not events.is_automatic) as open_count,
        count(*) filter (where events.metric_role {{ in_roles('clicked') }} and not events.is_automatic)
            as click_count,
        count(*) filter (where events.metric_role {{ in_roles('opened') }}) as any_open_count,
        count(*) filter (where events.metric_role {{ in_roles('clicked') }}) as any_click_count,
        count(*) filter (where events.metric_role = 'placed_order') as order_count,
        sum(case when events.metric_role = 'placed_order' then events.value_amount end) as any_revenue,
        count(*) filter (where events.metric_role = 'placed_order' and events.is_unread) as unread_order_count,
        sum(case when events.metric_role = 'placed_order' then events.value end) as revenue,
        sum(case when events.metric_role = 'placed_order' then events.returned_amount end) as returned_amount,
        count(*) filter (where events.metric_role = 'placed_order' and events.is_other_currency)
            as other_currency_order_count
    from received
    join events
        on received.customer_id = events.customer_id
        and received.flow_message_id = events.flow_message_id
        and received.happened_at <= events.happened_at
        and (received.received_again_at is null or received.received_again_at > events.happened_at)
    where events.metric_role not {{ in_roles('received') }}
    group by received.customer_event_id

)

select
    received.customer_event_id as flow_receipt_id,
    received.customer_id,
    received.flow_id,
    received.flow_message_id,
    coalesce(followed.order_count, 0) as order_count,
    coalesce(followed.other_currency_order_count, 0) as other_currency_order_count,
    cast(coalesce(followed.revenue, 0) as decimal(18, 2)) as revenue,
    cast(coalesce(followed.any_revenue, 0) as decimal(18, 2)) as any_revenue,
    coalesce(followed.unread_order_count, 0) as unread_order_count,
    cast(coalesce(followed.returned_amount, 0) as decimal(18, 2)) as returned_amount,
    coalesce(followed.open_count, 0) > 0 as is_opened,
    coalesce(followed.click_count, 0) > 0 as is_clicked,
    coalesce(followed.any_open_count, 0) > 0 as is_opened_by_any,
    coalesce(followed.any_click_count, 0) > 0 as is_clicked_by_any,
    received.happened_at as received_at
from received
left join followed on received.customer_event_id = followed.customer_event_id
