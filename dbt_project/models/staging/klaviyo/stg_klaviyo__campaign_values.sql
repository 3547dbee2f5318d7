with source as (

    {{ readable('raw_klaviyo', 'campaign_values') }}

),

renamed as (

    select
        -- ids
        campaign_id,
        campaign_message_id,
        conversion_metric_id,

        -- text
        send_channel as channel,

        -- numbers
        {{ whole('recipients') }} as recipient_count,
        {{ whole('delivered') }} as received_count,
        {{ whole('opens_unique') }} as opened_count,
        {{ whole('clicks_unique') }} as clicked_count,
        {{ whole('bounced') }} as bounced_count,
        {{ whole('conversion_uniques') }} as converted_count,
        {{ whole('conversions') }} as order_count,
        {{ as_decimal('conversion_value', 18, 2) }} as revenue,

        -- dates
        measured_on
    from source

),

-- An earlier version read one report without a metric: rows of the same day with a metric replace its rows.
told as (

    select
        *,
        max(conversion_metric_id) over (partition by campaign_message_id, channel, measured_on) as any_metric_id
    from renamed

)

-- One report per metric of orders: message counts repeat in all of them, orders are in one each.
select
    min(campaign_id) as campaign_id,
    campaign_message_id,
    channel,
    max(recipient_count) as recipient_count,
    max(received_count) as received_count,
    max(opened_count) as opened_count,
    max(clicked_count) as clicked_count,
    max(bounced_count) as bounced_count,
    cast(sum(converted_count) as bigint) as converted_count,
    cast(sum(order_count) as bigint) as order_count,
    cast(sum(revenue) as decimal(18, 2)) as revenue,
    measured_on
from told
where conversion_metric_id is not null or any_metric_id is null
group by campaign_message_id, channel, measured_on
