with source as (

    select * from {{ source('raw_klaviyo', 'flow_message_words') }}

),

renamed as (

    select
        -- ids
        flow_message_id,

        -- text
        nullif({{ json_text('words', 'text') }}, '') as message_text,
        {{ json_text('words', 'parts') }} as parts,
        {{ json_text('words', 'links') }} as links
    from source

)

select * from renamed
