with source as (

    {{ readable('raw_klaviyo', 'list_counts') }}

),

renamed as (

    select
        -- ids
        list_id,

        -- numbers
        profile_count as customer_count,

        -- dates
        measured_on
    from source

)

select * from renamed
