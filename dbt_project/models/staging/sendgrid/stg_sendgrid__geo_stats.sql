with source as (

    {{ readable('raw_sendgrid', 'geo_stats') }}

),

renamed as (

    select
        -- text
        type as stat_type,
        coalesce(country_filter, '') as country_filter,
        name as place,

        -- numbers
        opens as open_count,
        unique_opens as daily_unique_open_count,
        clicks as click_count,
        unique_clicks as daily_unique_click_count,

        -- dates
        date as happened_on
    from source

)

{{ one_each('renamed', ['happened_on', 'country_filter', 'stat_type', 'place'], 'open_count desc') }}
