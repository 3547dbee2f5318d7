with source as (

    select * from {{ source('raw_klaviyo', 'catalog_category_items') }}

),

renamed as (

    select
        -- ids
        category_id,
        item_id as catalog_item_id
    from source

)

select * from renamed
