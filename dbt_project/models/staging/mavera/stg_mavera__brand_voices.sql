with source as (

    {{ readable('raw_mavera', 'brand_voices') }}

),

renamed as (

    select
        -- ids
        id as brand_voice_id,
        workspace_id,

        -- text
        label as voice_label,
        usage_context,
        lower(status) as status,
        error,
        voice_summary,
        {{ json_text('tone', 'adjectives') }} as adjectives,
        {{ json_text('tone', 'dos') }} as dos,
        {{ json_text('tone', 'donts') }} as donts,
        {{ json_text('writing_style', 'sentence_structure') }} as sentence_structure,
        {{ json_text('writing_style', 'jargon_usage') }} as jargon_usage,
        {{ json_text('vocabulary', 'preferred_terms') }} as preferred_terms,
        {{ json_text('vocabulary', 'avoid_terms') }} as avoided_terms,
        example_phrases,
        {{ json_text('sources', 'documents') }} as documents,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at
    from source

)

select * from renamed
