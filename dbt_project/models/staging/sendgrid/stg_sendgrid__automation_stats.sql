with source as (

    {{ readable('raw_sendgrid', 'automation_stats') }}

),

renamed as (

    select
        -- ids
        id as automation_id,
        coalesce(nullif(step_id, ''), 'all') as step_id,

        -- text
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
        unsubscribes as unsubscribe_count,

        -- times
        {{ utc('gone_at') }} as gone_at
    from source

)

{{ one_each('renamed', ['automation_id', 'step_id', 'aggregation'], 'delivered_count desc') }}
