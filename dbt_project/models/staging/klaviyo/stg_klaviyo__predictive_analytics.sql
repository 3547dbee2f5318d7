with source as (

    {{ readable('raw_klaviyo', 'predictive_analytics') }}

),

renamed as (

    select
        -- ids
        profile_id as customer_id,

        -- numbers
        {{ as_decimal('predicted_clv', 18, 2) }} as predicted_clv,
        {{ as_decimal('historic_clv', 18, 2) }} as historic_clv,
        {{ as_decimal('total_clv', 18, 2) }} as total_clv,
        {{ as_decimal('average_order_value', 18, 2) }} as average_order_value,
        {{ as_decimal('historic_number_of_orders', 18, 2) }} as historic_order_count,
        {{ as_decimal('predicted_number_of_orders', 18, 2) }} as predicted_order_count,
        {{ as_decimal('average_days_between_orders', 18, 2) }} as average_days_between_orders,
        {{ as_decimal('churn_probability', 7, 6) }} as churn_probability,

        -- dates
        measured_on,

        -- times
        {{ utc('expected_date_of_next_order') }} as next_order_expected_at
    from source

)

select * from renamed
