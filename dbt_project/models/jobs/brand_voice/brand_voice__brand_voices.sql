-- The words of the most played medias. Transcripts are sent whole, so that no word or address is cut.
with

-- By plays in two digits: two medias with similar plays must not take turns, because each change costs a new voice.
ranked as (

    select
        transcripts.*,
        {{ label('medias.media_name') }} as media_label,
        medias.measured_on,
        row_number() over (
            order by coalesce({{ two_digits('medias.play_count') }}, 0) desc, transcripts.media_id
        ) as media_position
    from {{ ref('dim_media_transcripts') }} as transcripts
    join {{ ref('fct_media_performance') }} as medias on transcripts.media_id = medias.media_id
    where transcripts.caption_language = '{{ var('caption_language') }}'
        and transcripts.character_count <= {{ var('brand_voice_characters') }}
        and not transcripts.is_draft
        and not medias.is_deleted

),

measured as (

    select
        *,
        sum(character_count) over (
            order by media_position rows between unbounded preceding and current row
        ) as characters_so_far
    from ranked

),

chosen as (

    select
        count(*) as media_count,
        sum(word_count) as word_count,
        max(caption_language) as caption_language,
        {{ sorted_list('media_label') }} as medias,
        {{ sorted_list(record([['name', 'media_label'], ['text', 'transcript']])) }} as documents,
        max(measured_on) as measured_on
    from measured
    where media_position <= {{ var('brand_voice_medias') }}
        and characters_so_far <= {{ var('brand_voice_characters') }}

)

select
    'account' as entity,
    'Voice of our videos' as name,
    {{ facts_with_steps([
        ['media_count', 'media_count'],
        figure('word_count', 'word_count', 5),
        ['language', 'caption_language'],
        ['medias', 'medias'],
    ]) }},
    to_json(documents) as documents,
    cast(null as bigint) as person_count,
    {{ no_references() }} as reference_keys,
    measured_on
from chosen
where media_count > 0
