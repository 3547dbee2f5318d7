with source as (

    {{ readable('raw_wistia', 'projects') }}

),

renamed as (

    select
        -- ids
        coalesce(nullif(hashed_id, ''), cast(id as {{ dbt.type_string() }})) as project_id,

        -- text
        name as project_name,

        -- numbers
        media_count as reported_media_count,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

{{ one_each('renamed', ['project_id'], 'updated_at desc') }}
