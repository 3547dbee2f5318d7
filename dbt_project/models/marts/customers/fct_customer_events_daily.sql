{{ growing(
    ['metric_id', 'happened_on'],
    after=['stg_klaviyo__events', 'int_amounts_read'],
    beside=['stg_klaviyo__metrics', 'int_metric_roles'],
) }}

with {% if is_incremental() -%}
fresh as (

    select
        coalesce(metric_id, 'none') as metric_key,
        metric_id,
        shop_id,
        cast(happened_at as date) as happened_on
    from {{ ref('stg_klaviyo__events') }}
    where {{ came_since('load_id') }}

),

-- The days of new events, and of orders that they refund or cancel.
changed as (

    select metric_key, happened_on from fresh
    union
    select coalesce(orders.metric_id, 'none'), cast(orders.happened_at as date)
    from fresh
    join {{ ref('int_metric_roles') }} as roles on fresh.metric_id = roles.metric_id
    join {{ ref('stg_klaviyo__events') }} as orders on fresh.shop_id = orders.shop_id
    where roles.metric_role in ('refunded_order', 'cancelled_order')

),

{% endif -%}
events as (

    select
        coalesce(told.metric_id, 'none') as metric_id,
        told.customer_id,
        case when amounts.value_amount is null then 'none' else amounts.currency end as currency,
        amounts.value_amount,
        returned.returned_amount,
        amounts.unread_reason is not null as is_unread,
        cast(told.happened_at as date) as happened_on
    from {{ ref('stg_klaviyo__events') }} as told
    {%- if is_incremental() %}
    join changed on coalesce(told.metric_id, 'none') = changed.metric_key and cast(told.happened_at as date) = changed.happened_on
    {%- endif %}
    left join {{ ref('int_amounts_read') }} as amounts on told.customer_event_id = amounts.customer_event_id
    left join {{ ref('int_orders_returned') }} as returned on told.customer_event_id = returned.customer_event_id

)

select
    events.metric_id,
    metrics.metric_name,
    metrics.integration_name,
    events.currency,
    count(*) as event_count,
    count(distinct events.customer_id) as daily_customer_count,
    count(*) filter (where events.is_unread) as unread_amount_count,
    cast(sum(events.value_amount) as decimal(18, 2)) as value_amount,
    cast(sum(events.returned_amount) as decimal(18, 2)) as returned_amount,
    events.happened_on
from events
left join {{ ref('stg_klaviyo__metrics') }} as metrics on events.metric_id = metrics.metric_id
group by events.metric_id, metrics.metric_name, metrics.integration_name, events.currency, events.happened_on
