with source as (

    {{ readable('raw_klaviyo', 'flow_values') }}

),

renamed as (

    select
        -- ids
        flow_id,
        flow_message_id,
        conversion_metric_id,

        -- text
        lower(send_channel) as channel,

        -- numbers
        {{ whole('recipients') }} as recipient_count,
        {{ whole('delivered') }} as delivered_count,
        {{ whole('opens') }} as open_count,
        {{ whole('opens_unique') }} as unique_open_count,
        {{ whole('clicks') }} as click_count,
        {{ whole('clicks_unique') }} as unique_click_count,
        {{ whole('bounced') }} as bounce_count,
        {{ whole('unsubscribes') }} as unsubscribe_count,
        {{ whole('conversions') }} as order_count,
        {{ as_decimal('conversion_value', 18, 2) }} as order_value,
        {{ as_decimal('revenue_per_recipient', 18, 4) }} as revenue_per_recipient,

        -- dates
        measured_on
    from source

),

-- An earlier version read one report without a metric: rows of the same day with a metric replace its rows.
told as (

    select
        *,
        max(conversion_metric_id) over (partition by flow_id, flow_message_id, channel, measured_on) as any_metric_id
    from renamed

)

-- One report per metric of orders: message counts repeat in all of them, orders are in one each.
select
    flow_id,
    flow_message_id,
    channel,
    max(recipient_count) as recipient_count,
    max(delivered_count) as delivered_count,
    max(open_count) as open_count,
    max(unique_open_count) as unique_open_count,
    max(click_count) as click_count,
    max(unique_click_count) as unique_click_count,
    max(bounce_count) as bounce_count,
    max(unsubscribe_count) as unsubscribe_count,
    cast(sum(order_count) as bigint) as order_count,
    cast(sum(order_value) as decimal(18, 2)) as order_value,
    cast(sum(revenue_per_recipient) as decimal(18, 4)) as revenue_per_recipient,
    measured_on
from told
where conversion_metric_id is not null or any_metric_id is null
group by flow_id, flow_message_id, channel, measured_on
