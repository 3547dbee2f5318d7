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
        -- An entry with an unreadable time is on the list all the same.
        coalesce({{ utc('created') }}, {{ utc("'1970-01-01 00:00:00+00'") }}) as listed_at
    from source

)

{{ one_each('renamed', ['suppression_list', 'email', 'listed_at'], 'smtp_status') }}
