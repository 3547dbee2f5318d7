with source as (

    {{ readable('raw_klaviyo', 'campaign_messages') }}

),

renamed as (

    select
        -- ids
        id as campaign_message_id,
        campaign_id,

        -- text
        {{ json_text('definition', 'channel') }} as channel,
        {{ json_text('definition', 'label') }} as message_label,
        coalesce(
            {{ json_text('definition', ['content', 'subject']) }}, {{ json_text('definition', ['content', 'body']) }}
        ) as message_text,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
