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
        {{ utc('created_at') }} as listed_at
    from source

)

{{ one_each('renamed', ['unsubscribe_group_id', 'email'], 'listed_at') }}
