with source as (

    select * from {{ source('raw_ops', 'lifetime_fits') }}

),

renamed as (

    select
        -- text
        purpose,
        reason,

        -- numbers
        horizon_days,
        buyer_count,
        repeat_buyer_count,
        r,
        alpha,
        a,
        b,
        p,
        q,
        gamma,

        -- dates
        cast(fitted_to as date) as fitted_to
    from source

)

select * from renamed
