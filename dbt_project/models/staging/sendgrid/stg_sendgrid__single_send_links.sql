with source as (

    {{ readable('raw_sendgrid', 'single_send_link_stats') }}

),

renamed as (

    select
        -- ids
        id as single_send_id,

        -- text
        url as served_link,
        {{ page_address('trim(url)') }} as link,

        -- numbers
        url_location as link_position,
        clicks as click_count
    from source

)

select * from renamed
