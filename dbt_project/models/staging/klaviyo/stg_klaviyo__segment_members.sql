with source as (

    {{ readable('raw_klaviyo', 'segment_members') }}

),

renamed as (

    select
        -- ids
        segment_id,
        profile_id as customer_id,

        -- times
        {{ utc('joined_group_at') }} as joined_at
    from source

)

select * from renamed
