with source as (

    {{ readable('raw_klaviyo', 'catalog_items') }}

),

renamed as (

    select
        -- ids
        id as catalog_item_id,
        coalesce(nullif(external_id, ''), id) as product_id,

        -- text
        nullif(trim(title), '') as product_name,
        variants,

        -- numbers
        {{ as_decimal('price', 18, 2) }} as price,

        -- booleans
        coalesce(published, true) as is_published,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at
    from source

)

select * from renamed
