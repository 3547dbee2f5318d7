with source as (

    {{ readable('raw_sendgrid', 'contacts') }}

),

renamed as (

    select
        -- ids
        contact_id,

        -- text
        nullif(lower(trim(email)), '') as email,
        nullif(trim(first_name), '') as first_name,
        nullif(trim(last_name), '') as last_name,
        nullif(trim(country), '') as country,
        other as custom_fields,

        -- times
        {{ utc('created_at') }} as created_at,
        {{ utc('updated_at') }} as updated_at
    from source

)

select * from renamed
