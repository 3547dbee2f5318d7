with source as (

    {{ readable('raw_sendgrid', 'lists') }}

),

renamed as (

    select
        -- ids
        id as contact_list_id,

        -- text
        name as contact_list_name,

        -- numbers
        contact_count,

        -- times
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
