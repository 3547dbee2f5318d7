with source as (

    {{ readable('raw_wistia', 'account_stats_by_date') }}

),

renamed as (

    select
        -- numbers
        load_count,
        play_count,
        hours_watched * 3600 as nominal_watched_seconds,

        -- dates
        date as played_on
    from source

)

select * from renamed
