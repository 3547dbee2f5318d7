with source as (

    {{ readable('raw_sendgrid', 'field_definitions') }}

),

renamed as (

    select
        -- ids
        id as contact_field_id,

        -- text
        lower(name) as contact_field_name,
        lower(field_type) as field_type
    from source

)

select * from renamed
