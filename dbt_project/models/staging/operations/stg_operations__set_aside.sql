with source as (

    select * from {{ source('raw_ops', 'set_aside') }}

),

renamed as (

    select
        -- ids
        run_id,
        row_key,

        -- text
        vendor,
        resource as table_name,
        field,
        reason,

        -- times
        {{ utc('set_aside_at') }} as set_aside_at
    from source

)

select * from renamed
