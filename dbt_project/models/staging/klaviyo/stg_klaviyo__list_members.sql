with source as (

    {{ readable('raw_klaviyo', 'list_members') }}

),

renamed as (

    select
        -- ids
        list_id,
        profile_id as customer_id,

        -- times
        {{ utc('joined_group_at') }} as joined_at
    from source

)

select * from renamed
