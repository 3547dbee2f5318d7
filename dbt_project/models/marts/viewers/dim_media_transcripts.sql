with transcripts as (

    select
        media_id,
        caption_language,
        {{ text_in_order('caption', 'cue_number') }} as transcript,
        bool_or(is_draft) as is_draft
    from {{ ref('int_captions_cut_to_cues') }}
    group by media_id, caption_language

),

words as (

    select media_id, caption_language, {{ explode_text('transcript', ' +') }} as word
    from transcripts

),

counted as (

    select media_id, caption_language, count(*) as word_count
    from words
    where word <> ''
    group by media_id, caption_language

)

select
    transcripts.media_id,
    transcripts.caption_language,
    medias.media_name,
    transcripts.transcript,
    cast(length(transcripts.transcript) as bigint) as character_count,
    counted.word_count,
    60 * counted.word_count / nullif(medias.duration_seconds, 0) as words_per_minute,
    transcripts.is_draft
from transcripts
join counted
    on transcripts.media_id = counted.media_id and transcripts.caption_language = counted.caption_language
left join {{ ref('stg_wistia__medias') }} as medias on transcripts.media_id = medias.media_id
