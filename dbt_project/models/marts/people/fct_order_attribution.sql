{%- set shares = var('attribution').position_shares -%}

with touches as (

    select
        *,
        row_number() over (partition by order_id order by first_touched_at, message_id) = 1 as is_first,
        row_number() over (partition by order_id order by last_touched_at desc, message_id) = 1 as is_last
    from {{ ref('fct_order_touches') }}
    where first_touched_at is not null

),

earning as (

    select
        *,
        row_number() over (partition by order_id order by earned_at desc, message_id) as recency
    from {{ ref('fct_order_touches') }}
    where earned_at is not null

),

positions as (

    select
        *,
        sum(case when is_first or is_last then 0 else 1 end) over (partition by order_id) as middle_count
    from touches

),

credits as (

    select
        attributed.customer_event_id as order_id,
        'klaviyo' as attribution_model,
        coalesce(attributed.campaign_id, attributed.flow_message_id) as message_id,
        attributed.campaign_id,
        attributed.flow_id,
        coalesce(campaigns.channel, messages.channel) as channel,
        cast(1 as double) / count(*) over (partition by attributed.customer_event_id) as credit,
        events.happened_at as touched_at
    from {{ ref('int_events_attributed') }} as attributed
    left join {{ ref('stg_klaviyo__events') }} as events on attributed.attributed_event_id = events.customer_event_id
    left join {{ ref('stg_klaviyo__campaigns') }} as campaigns on attributed.campaign_id = campaigns.campaign_id
    left join {{ ref('stg_klaviyo__flow_messages') }} as messages on attributed.flow_message_id = messages.flow_message_id

    union all

    select order_id, 'last_touch', message_id, campaign_id, flow_id, channel, 1, earned_at
    from earning
    where recency = 1

    union all

    select order_id, 'first_touch', message_id, campaign_id, flow_id, channel, 1, first_touched_at
    from touches
    where is_first

    union all

    select
        order_id,
        'position_based',
        message_id,
        campaign_id,
        flow_id,
        channel,
        case
            when not is_first and not is_last then {{ share(1 - shares.first - shares.last, 'middle_count') }}
            else {{ share(
                'case when is_first then ' ~ shares.first ~ ' else 0 end + case when is_last then ' ~ shares.last ~ ' else 0 end',
                'case when middle_count = 0 then ' ~ (shares.first + shares.last) ~ ' else 1 end'
            ) }}
        end,
        last_touched_at
    from positions

)

select
    credits.order_id,
    credits.attribution_model,
    credits.message_id,
    orders.buyer_id,
    orders.person_id,
    credits.campaign_id,
    credits.flow_id,
    credits.channel,
    orders.currency,
    {{ as_decimal('credits.credit', 9, 6) }} as credit_share,
    {{ as_decimal('credits.credit * orders.gross_amount', 18, 4) }} as credited_amount,
    {{ as_decimal('credits.credit * orders.net_amount', 18, 4) }} as credited_net_amount,
    orders.is_account_currency,
    credits.touched_at,
    orders.ordered_at
from credits
join {{ ref('fct_orders') }} as orders on credits.order_id = orders.order_id
