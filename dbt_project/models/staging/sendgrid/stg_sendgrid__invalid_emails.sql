with source as (

    {{ readable('raw_sendgrid', 'invalid_emails') }}

),

renamed as (

    select
        -- text
        nullif(lower(trim(email)), '') as email,

        -- times
        {{ utc('created') }} as listed_at
    from source

)

select * from renamed
