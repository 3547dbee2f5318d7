with source as (

    {{ readable('raw_klaviyo', 'flows') }}

),

renamed as (

    select
        -- ids
        id as flow_id,

        -- text
        name as flow_name,
        status as flow_status,
        trigger_type,

        -- booleans
        coalesce(archived, false) as is_archived,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
