with source as (

    {{ readable('raw_wistia', 'customizations') }}

),

renamed as (

    select
        -- ids
        media_id,

        -- text
        plugin as player_settings,

        -- booleans
        lower(auto_play) = 'true' as is_played_at_once
    from source

)

select * from renamed
