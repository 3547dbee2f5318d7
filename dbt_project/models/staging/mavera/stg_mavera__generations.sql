with source as (

    {{ readable('raw_mavera', 'generations') }}

),

renamed as (

    select
        -- ids
        id as generation_id,
        workspace_id,
        {{ json_text('brand_voice', 'id') }} as brand_voice_id,

        -- text
        title,
        -- An object in Mavera's reference, the bare id in its guide.
        coalesce({{ json_text('app', 'id') }}, replace(cast(app as {{ dbt.type_string() }}), '"', '')) as app_id,
        -- The guide's name of the text is the last of the three; while there is none, the app is working.
        coalesce(nullif(trim(output), ''), nullif(trim(content), ''), nullif(trim(markdown), '')) as generated_text,
        lower(content_type) as content_type,
        input_data,

        -- numbers
        {{ whole(number_in(json_text('usage', 'credits_used'), least=0)) }} as credits_used,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at
    from source

)

select * from renamed
