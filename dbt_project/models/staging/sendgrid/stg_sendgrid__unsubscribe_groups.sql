with source as (

    {{ readable('raw_sendgrid', 'unsubscribe_groups') }}

),

renamed as (

    select
        -- ids
        id as unsubscribe_group_id,

        -- text
        name as unsubscribe_group_name,
        nullif(trim(description), '') as unsubscribe_group_description,

        -- numbers
        unsubscribes as suppressed_count,

        -- booleans
        coalesce(is_default, false) as is_default,

        -- times
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
