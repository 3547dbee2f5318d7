with source as (

    {{ readable('raw_sendgrid', 'group_suppressions') }}

),

renamed as (

    select
        -- ids
        group_id as unsubscribe_group_id,

        -- text
        nullif(lower(trim(email)), '') as email,

        -- times
        -- An entry with an unreadable time is on the list all the same.
        coalesce({{ utc('created_at') }}, {{ utc("'1970-01-01 00:00:00+00'") }}) as listed_at
    from source

)

{{ one_each('renamed', ['unsubscribe_group_id', 'email'], 'listed_at') }}
