with source as (

    {{ readable('raw_klaviyo', 'catalog_categories') }}

),

renamed as (

    select
        -- ids
        id as category_id,

        -- text
        nullif(trim(name), '') as category_name,

        -- times
        {{ utc('updated') }} as updated_at
    from source

)

select * from renamed
