with source as (

    {{ readable('raw_wistia', 'visitors') }}

),

renamed as (

    select
        -- ids
        visitor_key as viewer_id,
        last_event_key as last_viewing_event_id,

        -- text
        nullif(lower(trim({{ json_text('visitor_identity', 'email') }})), '') as email,
        nullif(trim({{ json_text('visitor_identity', 'name') }}), '') as viewer_name,
        {{ json_text('user_agent_details', 'browser') }} as browser,
        {{ json_text('user_agent_details', 'platform') }} as platform,

        -- numbers
        load_count,
        play_count,

        -- booleans
        try_cast({{ json_text('user_agent_details', 'mobile') }} as boolean) as is_mobile,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('last_active_at') }} as last_active_at
    from source

)

select * from renamed
