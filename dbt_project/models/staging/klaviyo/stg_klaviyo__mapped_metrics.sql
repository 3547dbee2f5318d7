with source as (

    {{ readable('raw_klaviyo', 'mapped_metrics') }}

),

renamed as (

    select
        -- ids
        id as mapped_metric,
        metric_id,
        custom_metric_id,

        -- text
        metric_groups,

        -- times
        {{ utc('updated') }} as updated_at
    from source

)

select * from renamed
