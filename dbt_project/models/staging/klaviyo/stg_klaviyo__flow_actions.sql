with source as (

    {{ readable('raw_klaviyo', 'flow_actions') }}

),

renamed as (

    select
        -- ids
        id as flow_action_id,
        flow_id,

        -- text
        {{ json_text('definition', 'type') }} as action_type,
        {{ json_text('definition', ['data', 'status']) }} as action_status,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
