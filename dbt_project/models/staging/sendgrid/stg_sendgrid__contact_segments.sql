with source as (

    {{ readable('raw_sendgrid', 'segments') }}

),

renamed as (

    select
        -- ids
        id as contact_segment_id,

        -- text
        name as contact_segment_name,

        -- numbers
        contacts_count as contact_count,

        -- booleans
        {{ json_text('status', 'query_validation') }} = 'VALID' as is_valid,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
