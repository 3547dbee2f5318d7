with source as (

    {{ readable('raw_klaviyo', 'campaign_values') }}

),

renamed as (

    select
        -- ids
        campaign_id,
        campaign_message_id,

        -- text
        send_channel as channel,

        -- numbers
        cast(recipients as bigint) as recipient_count,
        cast(delivered as bigint) as received_count,
        cast(opens_unique as bigint) as opened_count,
        cast(clicks_unique as bigint) as clicked_count,
        cast(bounced as bigint) as bounced_count,
        cast(conversion_uniques as bigint) as converted_count,
        cast(conversions as bigint) as order_count,
        cast(conversion_value as decimal(18, 2)) as revenue,

        -- dates
        measured_on
    from source

)

select * from renamed
