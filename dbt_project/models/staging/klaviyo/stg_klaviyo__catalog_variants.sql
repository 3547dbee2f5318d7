with source as (

    {{ readable('raw_klaviyo', 'catalog_variants') }}

),

renamed as (

    select
        -- ids
        id as catalog_variant_id,

        -- text
        nullif(trim(title), '') as variant_name,
        nullif(trim(sku), '') as sku,

        -- numbers
        {{ as_decimal('price', 18, 2) }} as price,
        inventory_quantity as stock_count,

        -- booleans
        coalesce(published, true) as is_published,

        -- times
        {{ utc('created') }} as created_at,
        {{ utc('updated') }} as updated_at
    from source

)

select * from renamed
