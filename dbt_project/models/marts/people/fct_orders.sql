-- Built whole: a refund, an attribution or a merged profile may change any earlier order, and orders are few.
with orders as (

    select
        events.customer_event_id as order_id,
        events.customer_id,
        consents.person_id,
        coalesce(consents.person_id, events.customer_id) as buyer_id,
        {{ number_in('events.discount_text', 0) }} as discount,
        events.happened_at as ordered_at
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_customers_consented') }} as consents on events.customer_id = consents.customer_id
    where metrics.metric_role = 'placed_order'

),

numbered as (

    select
        *,
        case when buyer_id is not null then
            cast(row_number() over (partition by buyer_id order by ordered_at, order_id) as bigint)
        end as order_number
    from orders

),

-- Klaviyo may name several messages for an order: the one with the latest touch is kept.
ranked as (

    select
        attributed.*,
        coalesce(campaigns.channel, messages.channel) as channel,
        count(*) over (partition by attributed.customer_event_id) as message_count,
        row_number() over (
            partition by attributed.customer_event_id
            order by touches.happened_at desc, attributed.attributed_event_id, attributed.campaign_id, attributed.flow_message_id
        ) as recency
    from {{ ref('int_events_attributed') }} as attributed
    left join {{ ref('stg_klaviyo__events') }} as touches on attributed.attributed_event_id = touches.customer_event_id
    left join {{ ref('stg_klaviyo__campaigns') }} as campaigns on attributed.campaign_id = campaigns.campaign_id
    left join {{ ref('stg_klaviyo__flow_messages') }} as messages on attributed.flow_message_id = messages.flow_message_id

)

select
    numbered.order_id,
    numbered.customer_id,
    numbered.person_id,
    numbered.buyer_id,
    ranked.attributed_event_id,
    ranked.campaign_id as attributed_campaign_id,
    ranked.flow_id as attributed_flow_id,
    ranked.flow_message_id as attributed_flow_message_id,
    ranked.channel as attributed_channel,
    amounts.currency,
    numbered.order_number,
    coalesce(ranked.message_count, 0) as attributed_message_count,
    amounts.value_amount as gross_amount,
    cast(case when amounts.value_amount is not null then coalesce(returned.returned_amount, 0) end as decimal(18, 2)) as refunded_amount,
    cast(amounts.value_amount - coalesce(returned.returned_amount, 0) as decimal(18, 2)) as net_amount,
    {{ as_decimal('numbered.discount', 18, 2) }} as discount_amount,
    coalesce(amounts.is_account_currency, false) as is_account_currency,
    coalesce(returned.is_cancelled, false) as is_cancelled,
    cast(numbered.ordered_at as date) as ordered_on,
    numbered.ordered_at
from numbered
left join {{ ref('int_amounts_read') }} as amounts on numbered.order_id = amounts.customer_event_id
left join {{ ref('int_orders_returned') }} as returned on numbered.order_id = returned.customer_event_id
left join ranked on numbered.order_id = ranked.customer_event_id and ranked.recency = 1
