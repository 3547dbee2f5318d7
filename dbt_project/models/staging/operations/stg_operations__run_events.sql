with source as (

    select * from {{ source('raw_ops', 'runs') }}

),

renamed as (

    select
        -- ids
        run_id,

        -- text
        event,
        step,
        nullif(scope, '') as scope,
        outcome,
        nullif(detail, '') as detail,

        -- numbers
        row_count,
        request_count,
        wait_count,
        credits,

        -- JSON
        parts,

        -- times
        {{ utc('happened_at') }} as happened_at
    from source

)

select * from renamed
