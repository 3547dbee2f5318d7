with source as (

    {{ readable('raw_klaviyo', 'flow_messages') }}

),

renamed as (

    select
        -- ids
        id as flow_message_id,
        flow_action_id,

        -- text
        lower(channel) as channel,
        {{ json_text('definition', 'name') }} as message_name,
        coalesce(
            {{ json_text('definition', 'subject_line') }}, {{ json_text('definition', 'body') }}
        ) as subject,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
