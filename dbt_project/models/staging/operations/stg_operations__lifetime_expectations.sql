with source as (

    select * from {{ source('raw_ops', 'lifetime_expectations') }}

),

renamed as (

    select
        -- text
        purpose,

        -- numbers
        frequency,
        recency_days,
        age_days,
        expected_order_count,
        alive_probability
    from source

)

select * from renamed
