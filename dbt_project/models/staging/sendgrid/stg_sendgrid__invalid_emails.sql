with source as (

    {{ readable('raw_sendgrid', 'invalid_emails') }}

),

renamed as (

    select
        -- text
        nullif(lower(trim(email)), '') as email,

        -- times
        -- An entry with an unreadable time is on the list all the same.
        coalesce({{ utc('created') }}, {{ utc("'1970-01-01 00:00:00+00'") }}) as listed_at
    from source

)

{{ one_each('renamed', ['email', 'listed_at'], 'email') }}
