with source as (

    {{ readable('raw_klaviyo', 'events') }}

),

renamed as (

    select
        -- ids
        id as customer_event_id,
        profile_id as customer_id,
        metric_id,
        {{ json_text('event_properties', 'ProductID') }} as product_id,
        {{ json_text('event_properties', '$flow') }} as flow_id,
        {{ json_text('event_properties', '$message') }} as message_id,
        coalesce(
            {{ json_text('event_properties', '$event_id') }}, {{ json_text('event_properties', 'OrderId') }}
        ) as shop_id,

        -- text
        nullif(trim({{ json_text('event_properties', '$value') }}), '') as value_text,
        {{ first_named('event_properties', var('currency_properties')) }} as currency_text,
        coalesce(
            {{ json_text('event_properties', 'Name') }}, {{ json_text('event_properties', 'ProductName') }},
            {{ json_text('event_properties', 'Product Name') }}
        ) as product_name,
        lower(coalesce(
            {{ json_text('event_properties', 'Client OS Family') }}, {{ json_text('event_properties', 'Client OS') }}
        )) as operating_system,

        -- Relations give it; older events have it in their properties, and only name the campaign or message.
        coalesce(
            nullif(attributions, '[]'),
            case when {{ json_text('event_properties', ['$attribution', '$message']) }} is not null then
                concat('[', {{ json_build([
                    ['attributed_event_id', json_text('event_properties', ['$attribution', '$attributed_event_id'])],
                    ['flow_id', json_text('event_properties', ['$attribution', '$flow'])],
                    ['flow_message_id', "case when " ~ json_text('event_properties', ['$attribution', '$flow'])
                        ~ " is not null then " ~ json_text('event_properties', ['$attribution', '$message']) ~ " end"],
                    ['campaign_id', "case when " ~ json_text('event_properties', ['$attribution', '$flow'])
                        ~ " is null then " ~ json_text('event_properties', ['$attribution', '$message']) ~ " end"],
                ]) }}, ']')
            end
        ) as attributions,

        -- booleans
        {{ is_json_text('event_properties', '$value') }} as is_value_text,
        coalesce(try_cast({{ json_text('event_properties', 'machine_open') }} as boolean), false)
            or coalesce(try_cast({{ json_text('event_properties', 'Bot Click') }} as boolean), false) as is_automatic,

        -- times
        {{ utc('datetime') }} as happened_at
    from source

)

select * from renamed
