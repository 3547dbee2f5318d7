with source as (

    {{ readable('raw_sendgrid', 'client_stats') }}

),

renamed as (

    select
        -- text
        type as stat_type,
        name as client,

        -- numbers
        opens as open_count,
        unique_opens as daily_unique_open_count,

        -- dates
        date as happened_on
    from source

)

select * from renamed
