with source as (

    {{ readable('raw_klaviyo', 'metric_aggregates') }}

),

renamed as (

    select
        -- ids
        metric_id,
        flow_id,
        message_id,

        -- text
        grouped_by,

        -- numbers
        event_count,
        unique_count as daily_customer_count,
        {{ as_decimal('sum_value', 18, 2) }} as value_amount,

        -- dates
        date as happened_on
    from source

)

select * from renamed
