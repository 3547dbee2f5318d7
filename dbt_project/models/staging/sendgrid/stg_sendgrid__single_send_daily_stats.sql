with source as (

    {{ readable('raw_sendgrid', 'single_send_daily_stats') }}

),

renamed as (

    select
        -- ids
        id as single_send_id,

        -- numbers
        requests as request_count,
        delivered as delivered_count,
        opens as open_count,
        unique_opens as daily_unique_open_count,
        clicks as click_count,
        unique_clicks as daily_unique_click_count,
        bounces as bounce_count,
        bounce_drops as bounce_drop_count,
        invalid_emails as invalid_email_count,
        spam_reports as spam_report_count,
        spam_report_drops as spam_report_drop_count,
        unsubscribes as unsubscribe_count,

        -- dates
        date as happened_on
    from source

)

select * from renamed
