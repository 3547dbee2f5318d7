with source as (

    {{ readable('raw_wistia', 'medias') }}

),

renamed as (

    select
        -- ids
        hashed_id as media_id,
        coalesce(
            {{ json_text('project', 'hashed_id') }},
            {{ json_text('project', 'hashedId') }},
            {{ json_text('folder', 'hashed_id') }}
        ) as project_id,

        -- text
        name as media_name,
        type as media_type,
        status as media_status,
        section,
        coalesce({{ json_text('project', 'name') }}, {{ json_text('folder', 'name') }}) as project_name,

        -- numbers
        duration as duration_seconds,

        -- booleans
        coalesce(archived, false) as is_archived,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
