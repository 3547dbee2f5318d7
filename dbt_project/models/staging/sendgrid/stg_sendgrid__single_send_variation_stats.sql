with source as (

    {{ readable('raw_sendgrid', 'single_send_variation_stats') }}

),

renamed as (

    select
        -- ids
        id as single_send_id,
        coalesce(nullif(ab_variation, ''), 'all') as variation_id,

        -- text
        coalesce(nullif(ab_phase, ''), 'all') as ab_phase,

        -- numbers
        delivered as delivered_count,
        unique_opens as unique_open_count,
        unique_clicks as unique_click_count
    from source

)

{{ one_each('renamed', ['single_send_id', 'variation_id', 'ab_phase'], 'delivered_count desc') }}
