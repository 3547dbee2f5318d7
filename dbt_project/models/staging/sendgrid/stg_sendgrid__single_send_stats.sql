with source as (

    {{ readable('raw_sendgrid', 'single_send_stats') }}

),

renamed as (

    select
        -- ids
        id as single_send_id,

        -- text
        coalesce(nullif(ab_phase, ''), 'all') as ab_phase,
        coalesce(nullif(ab_variation, ''), 'all') as ab_variation,
        aggregation,

        -- numbers
        requests as request_count,
        delivered as delivered_count,
        opens as open_count,
        unique_opens as unique_open_count,
        clicks as click_count,
        unique_clicks as unique_click_count,
        bounces as bounce_count,
        bounce_drops as bounce_drop_count,
        invalid_emails as invalid_email_count,
        spam_reports as spam_report_count,
        spam_report_drops as spam_report_drop_count,
        unsubscribes as unsubscribe_count
    from source

)

{{ one_each('renamed', ['single_send_id', 'ab_phase', 'ab_variation', 'aggregation'], 'delivered_count desc') }}
