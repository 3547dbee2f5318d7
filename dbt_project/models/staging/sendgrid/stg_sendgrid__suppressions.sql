with source as (

    {{ readable('raw_sendgrid', 'suppressions') }}

),

renamed as (

    select
        -- text
        list as suppression_list,
        nullif(lower(trim(email)), '') as email,
        nullif(status, '') as smtp_status,

        -- times
        {{ utc('created') }} as listed_at
    from source

)

select * from renamed
