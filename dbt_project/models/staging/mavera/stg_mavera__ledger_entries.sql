with source as (

    select * from {{ source('raw_mavera', 'ledger') }}

),

renamed as (

    select
        -- ids
        entry_id,
        call_id,
        run_id,
        record_key,
        remote_id,
        thread_id,

        -- text
        event,
        kind,
        job,
        action,
        state,
        error,
        destination,
        fingerprint,
        credits_source,
        facts,
        payload,
        answer,

        -- numbers
        credits_low,
        credits_high,
        credits,

        -- times
        {{ utc('written_at') }} as written_at
    from source

)

select * from renamed
