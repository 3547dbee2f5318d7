with source as (

    {{ readable('raw_sendgrid', 'contact_counts') }}

),

renamed as (

    select
        -- numbers
        contact_count,

        -- dates
        measured_on
    from source

)

select * from renamed
