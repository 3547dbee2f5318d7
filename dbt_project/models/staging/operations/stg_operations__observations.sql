with source as (

    select * from {{ source('raw_ops', 'observations') }}

),

renamed as (

    select
        -- ids
        subject_id,
        dimension_id,

        -- text
        kind,
        value,
        rule,

        -- times
        {{ utc('happened_at') }} as happened_at,
        {{ utc('observed_at') }} as observed_at,
        {{ utc('recorded_at') }} as recorded_at
    from source

)

select * from renamed
