with source as (

    {{ readable('raw_klaviyo', 'flow_message_templates') }}

),

renamed as (

    select
        -- ids
        flow_message_id,
        template_id,

        -- text
        name as template_name,
        editor_type,
        nullif(trim(html), '') as html,
        nullif(trim(text), '') as plain_text,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at
    from source

)

select * from renamed
