select
    days.single_send_id,
    sends.single_send_name,
    days.request_count,
    days.delivered_count,
    days.open_count,
    days.daily_unique_open_count,
    days.click_count,
    days.daily_unique_click_count,
    days.bounce_count,
    days.bounce_drop_count,
    days.invalid_email_count,
    days.spam_report_count,
    days.spam_report_drop_count,
    days.unsubscribe_count,
    {{ dbt.datediff('sends.sent_at', 'days.happened_on', 'day') }} as days_since_sent,
    days.happened_on
from {{ ref('stg_sendgrid__single_send_daily_stats') }} as days
left join {{ ref('stg_sendgrid__single_sends') }} as sends on days.single_send_id = sends.single_send_id
