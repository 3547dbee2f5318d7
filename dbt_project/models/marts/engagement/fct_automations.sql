select
    automation_id,
    step_id,
    request_count,
    delivered_count,
    open_count,
    unique_open_count,
    click_count,
    unique_click_count,
    bounce_count,
    bounce_drop_count,
    invalid_email_count,
    spam_report_count,
    spam_report_drop_count,
    unsubscribe_count,
    {{ share_with_interval('unique_open_count', 'delivered_count', 'unique_open_share') }},
    {{ share_with_interval('unique_click_count', 'delivered_count', 'unique_click_share') }},
    step_id = 'all' as is_whole,
    {{ is_small('delivered_count') }} as is_small_sample
from {{ ref('stg_sendgrid__automation_stats') }}
where aggregation = 'total'
