with source as (

    {{ readable('raw_mavera', 'focus_groups') }}

),

renamed as (

    select
        -- ids
        id as focus_group_id,
        workspace_id,

        -- text
        name as focus_group_name,
        lower(status) as status,
        persona_ids,
        error,

        -- numbers
        {{ whole(number_in(json_text('usage', 'credits_used'), least=0)) }} as credits_used,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at
    from source

)

select * from renamed
