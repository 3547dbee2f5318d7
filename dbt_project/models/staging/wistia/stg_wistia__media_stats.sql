with source as (

    {{ readable('raw_wistia', 'media_stats') }}

),

renamed as (

    select
        -- ids
        media_id,

        -- text
        actions,

        -- numbers
        load_count,
        play_count,
        visitors as visitor_count,
        play_rate as play_share,
        engagement as engagement_share,
        hours_watched * 3600 as watched_seconds,

        -- dates
        measured_on
    from source

)

select * from renamed
