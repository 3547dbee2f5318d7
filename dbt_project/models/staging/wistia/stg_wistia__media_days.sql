with source as (

    {{ readable('raw_wistia', 'media_stats_by_date') }}

),

renamed as (

    select
        -- ids
        media_id,

        -- numbers
        load_count,
        play_count,
        hours_watched * 3600 as nominal_watched_seconds,

        -- dates
        date as played_on
    from source

)

select * from renamed
