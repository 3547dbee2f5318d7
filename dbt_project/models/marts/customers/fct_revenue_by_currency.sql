with campaign_keys as (

    select
        campaign_id,
        campaign_message_id as message_id
    from {{ ref('stg_klaviyo__campaign_messages') }}

    union

    select
        campaign_id,
        campaign_id as message_id
    from {{ ref('stg_klaviyo__campaigns') }}

),

valued as (

    select
        events.customer_event_id,
        events.product_id,
        events.attributed_flow_id,
        events.attributed_message_id,
        metrics.metric_name,
        amounts.currency,
        amounts.value_amount,
        amounts.is_account_currency
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('stg_klaviyo__metrics') }} as metrics on events.metric_id = metrics.metric_id
    join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    where amounts.value_amount is not null

),

orders as (

    select * from valued where metric_name = '{{ var('order_metric') }}'

),

of_things as (

    select 'shop' as thing, 'all' as thing_id, currency, is_account_currency, value_amount from orders

    union all

    select 'campaign', campaign_keys.campaign_id, orders.currency, orders.is_account_currency, orders.value_amount
    from orders
    join campaign_keys on orders.attributed_message_id = campaign_keys.message_id

    union all

    select 'flow_message', attributed_message_id, currency, is_account_currency, value_amount
    from orders
    where attributed_flow_id is not null and attributed_message_id is not null

    union all

    select 'product', product_id, currency, is_account_currency, value_amount
    from valued
    where metric_name = '{{ var('purchase_metric') }}' and product_id is not null

)

select
    thing_id,
    thing,
    currency,
    count(*) as order_count,
    cast(sum(value_amount) as decimal(18, 2)) as revenue,
    is_account_currency
from of_things
group by thing_id, thing, currency, is_account_currency
