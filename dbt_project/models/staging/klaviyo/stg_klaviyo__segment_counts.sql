with source as (

    {{ readable('raw_klaviyo', 'segment_counts') }}

),

renamed as (

    select
        -- ids
        segment_id,

        -- numbers
        profile_count as customer_count,

        -- dates
        measured_on
    from source

)

select * from renamed
