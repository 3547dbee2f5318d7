with source as (

    select * from {{ source('raw_ops', 'people') }}

),

renamed as (

    select
        -- text
        vendor,
        resource,
        kind,
        known_by
    from source

)

select * from renamed
