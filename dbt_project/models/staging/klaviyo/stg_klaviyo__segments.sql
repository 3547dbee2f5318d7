with source as (

    {{ readable('raw_klaviyo', 'segments') }}

),

renamed as (

    select
        -- ids
        id as segment_id,

        -- text
        name as segment_name,

        -- booleans
        coalesce(is_active, false) as is_active,
        coalesce(is_processing, false) as is_processing,
        coalesce(is_starred, false) as is_starred,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
