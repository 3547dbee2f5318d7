with source as (

    {{ readable('raw_klaviyo', 'flow_triggers') }}

),

renamed as (

    select
        -- ids
        flow_id,
        metric_id
    from source

)

select * from renamed
