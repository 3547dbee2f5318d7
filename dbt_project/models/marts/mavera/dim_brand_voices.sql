with voices as (

    select * from {{ ref('stg_mavera__brand_voices') }}

),

calls as (

    select remote_id, record_key, job, facts, credits, begun_at
    from {{ ref('int_mavera_calls') }}
    where kind = 'brand-voices' and remote_id is not null

),

standing as (

    select
        voices.*,
        calls.record_key,
        calls.job,
        calls.facts,
        calls.credits,
        calls.begun_at,
        -- Completed in the reference, READY in the guide.
        voices.status in ('completed', 'ready') as is_ready
    from voices
    left join calls on voices.brand_voice_id = calls.remote_id

)

select
    brand_voice_id,
    record_key,
    job,
    voice_label,
    status,
    error,
    voice_summary,
    adjectives,
    dos,
    donts,
    sentence_structure,
    jargon_usage,
    preferred_terms,
    avoided_terms,
    example_phrases,
    facts,
    cast({{ json_text('facts', 'media_count') }} as bigint) as media_count,
    cast({{ json_text('facts', 'word_count') }} as bigint) as word_count,
    credits,
    is_ready,
    is_ready and record_key is not null and row_number() over (
        partition by record_key, is_ready order by begun_at desc, brand_voice_id
    ) = 1 as is_current,
    begun_at as asked_at,
    created_at,
    updated_at
from standing
