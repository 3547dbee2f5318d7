with source as (

    {{ readable('raw_klaviyo', 'predictive_analytics') }}

),

renamed as (

    select
        -- ids
        profile_id as customer_id,

        -- numbers
        cast(predicted_clv as decimal(18, 2)) as predicted_clv,
        cast(historic_clv as decimal(18, 2)) as historic_clv,
        cast(total_clv as decimal(18, 2)) as total_clv,
        cast(average_order_value as decimal(18, 2)) as average_order_value,
        cast(historic_number_of_orders as decimal(18, 2)) as historic_order_count,
        cast(predicted_number_of_orders as decimal(18, 2)) as predicted_order_count,
        cast(average_days_between_orders as decimal(18, 2)) as average_days_between_orders,
        cast(churn_probability as decimal(7, 6)) as churn_probability,

        -- dates
        measured_on,

        -- times
        {{ utc('expected_date_of_next_order') }} as next_order_expected_at
    from source

)

select * from renamed
