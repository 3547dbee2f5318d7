with ranked as (

    select
        media_id,
        caption_language,
        is_draft,
        row_number() over (
            partition by media_id
            order by
                is_draft nulls last,
                case when caption_language = '{{ var('caption_language') }}' then 0 else 1 end,
                caption_language nulls last
        ) as choice
    from {{ ref('stg_wistia__captions') }}
    where subtitles is not null

)

select
    cues.media_id,
    cues.caption_language,
    cues.cue_number,
    cues.caption,
    cues.started_seconds,
    cues.ended_seconds,
    ranked.is_draft,
    ranked.choice = 1 as is_preferred
from {{ ref('stg_wistia__caption_cues') }} as cues
join ranked on cues.media_id = ranked.media_id and cues.caption_language = ranked.caption_language
