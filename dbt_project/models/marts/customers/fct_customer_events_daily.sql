with events as (

    select
        coalesce(events.metric_id, 'none') as metric_id,
        events.customer_id,
        case when amounts.value_amount is null then 'none' else amounts.currency end as currency,
        amounts.value_amount,
        returned.returned_amount,
        amounts.unread_reason is not null as is_unread,
        cast(events.happened_at as date) as happened_on
    from {{ ref('stg_klaviyo__events') }} as events
    left join {{ ref('int_amounts_read') }} as amounts on events.customer_event_id = amounts.customer_event_id
    left join {{ ref('int_orders_returned') }} as returned on events.customer_event_id = returned.customer_event_id

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
