with source as (

    {{ readable('raw_wistia', 'captions') }}

),

renamed as (

    select
        -- ids
        media_id,

        -- text
        language as caption_language,
        text as subtitles,

        -- booleans
        coalesce(is_draft, false) as is_draft
    from source

)

select * from renamed
