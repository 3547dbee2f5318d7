with source as (

    {{ readable('raw_sendgrid', 'browser_stats') }}

),

renamed as (

    select
        -- text
        type as stat_type,
        name as browser,

        -- numbers
        clicks as click_count,
        unique_clicks as daily_unique_click_count,

        -- dates
        date as happened_on
    from source

)

select * from renamed
