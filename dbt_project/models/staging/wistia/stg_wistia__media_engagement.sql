with source as (

    {{ readable('raw_wistia', 'media_engagement') }}

),

renamed as (

    select
        -- ids
        media_id,

        -- text
        engagement_data as play_counts,
        rewatch_data as replay_counts,

        -- numbers
        engagement as engagement_share,

        -- dates
        measured_on
    from source

)

select * from renamed
