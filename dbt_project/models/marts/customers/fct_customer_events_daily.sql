with events as (

    select
        coalesce(metric_id, 'none') as metric_id,
        customer_id,
        case when value_amount is null then 'none' else coalesce(currency, 'unknown') end as currency,
        value_amount,
        cast(happened_at as date) as happened_on
    from {{ ref('stg_klaviyo__events') }}

)

select
    events.metric_id,
    metrics.metric_name,
    metrics.integration_name,
    events.currency,
    count(*) as event_count,
    count(distinct events.customer_id) as daily_customer_count,
    cast(sum(events.value_amount) as decimal(18, 2)) as value_amount,
    events.happened_on
from events
left join {{ ref('stg_klaviyo__metrics') }} as metrics on events.metric_id = metrics.metric_id
group by events.metric_id, metrics.metric_name, metrics.integration_name, events.currency, events.happened_on
