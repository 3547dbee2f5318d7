with valued as (

    select
        events.customer_event_id,
        events.product_id,
        metrics.metric_role,
        amounts.currency,
        amounts.value_amount,
        coalesce(returned.returned_amount, 0) as returned_amount,
        amounts.is_account_currency
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    left join {{ ref('int_orders_returned') }} as returned on events.customer_event_id = returned.customer_event_id
    where amounts.value_amount is not null

),

orders as (

    select * from valued where metric_role = 'placed_order'

),

of_things as (

    select 'shop' as thing, 'all' as thing_id, currency, is_account_currency, value_amount, returned_amount
    from orders

    union all

    select
        case when attributed.campaign_id is null then 'flow_message' else 'campaign' end,
        coalesce(attributed.campaign_id, attributed.flow_message_id),
        orders.currency,
        orders.is_account_currency,
        orders.value_amount,
        orders.returned_amount
    from orders
    join {{ ref('int_events_attributed') }} as attributed on orders.customer_event_id = attributed.customer_event_id

    union all

    -- A refund names its order, not which of its products.
    select 'product', product_id, currency, is_account_currency, value_amount, null
    from valued
    where metric_role = 'ordered_product' and product_id is not null

)

select
    thing_id,
    thing,
    currency,
    count(*) as order_count,
    cast(sum(value_amount) as decimal(18, 2)) as revenue,
    cast(sum(returned_amount) as decimal(18, 2)) as returned_amount,
    cast(sum(value_amount - returned_amount) as decimal(18, 2)) as net_revenue,
    is_account_currency
from of_things
group by thing_id, thing, currency, is_account_currency
