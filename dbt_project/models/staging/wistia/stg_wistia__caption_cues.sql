with source as (

    select * from {{ source('raw_wistia', 'caption_cues') }}

),

renamed as (

    select
        -- ids
        media_id,

        -- text
        language as caption_language,
        text as caption,

        -- numbers
        cue_number,
        started_seconds,
        ended_seconds
    from source

)

select * from renamed
