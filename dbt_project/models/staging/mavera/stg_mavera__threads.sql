with source as (

    {{ readable('raw_mavera', 'threads') }}

),

renamed as (

    select
        -- ids
        id as thread_id,
        workspace_id,

        -- text
        title as thread_title,
        current_phase,
        complexity,
        messages,
        sources,
        personas_used,

        -- numbers
        credits_used,
        message_count,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at
    from source

)

select * from renamed
