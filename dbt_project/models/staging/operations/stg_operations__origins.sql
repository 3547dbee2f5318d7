with source as (

    select * from {{ source('raw_ops', 'origins') }}

),

renamed as (

    select
        -- text
        vendor,
        world,
        base_url
    from source

)

select * from renamed
