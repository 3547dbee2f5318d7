with source as (

    {{ readable('raw_sendgrid', 'mailbox_provider_stats') }}

),

renamed as (

    select
        -- text
        type as stat_type,
        name as mailbox_provider,

        -- numbers
        requests as request_count,
        processed as processed_count,
        delivered as delivered_count,
        deferred as deferred_count,
        drops as drop_count,
        bounces as bounce_count,
        blocks as block_count,
        spam_reports as spam_report_count,
        opens as open_count,
        unique_opens as daily_unique_open_count,
        clicks as click_count,
        unique_clicks as daily_unique_click_count,

        -- dates
        date as happened_on
    from source

)

select * from renamed
