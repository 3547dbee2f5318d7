with source as (

    {{ readable('raw_klaviyo', 'metrics') }}

),

renamed as (

    select
        -- ids
        id as metric_id,

        -- text
        name as metric_name,
        {{ json_text('integration', 'name') }} as integration_name,
        {{ json_text('integration', 'category') }} as integration_category,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at,
        {{ utc('gone_at') }} as gone_at
    from source

)

select * from renamed
