with source as (

    select * from {{ source('raw_ops', 'loads') }}

),

renamed as (

    select
        -- ids
        run_id,

        -- text
        vendor,
        resource,
        outcome,
        detail,

        -- numbers
        requests as request_count,
        waits as wait_count,
        rows_read as read_row_count,
        rows_new as new_row_count,
        rows_changed as changed_row_count,
        rows_late as late_row_count,

        -- times
        {{ utc('started_at') }} as started_at,
        {{ utc('finished_at') }} as finished_at
    from source

)

select * from renamed
