select
    mailbox_provider,
    request_count,
    processed_count,
    delivered_count,
    deferred_count,
    drop_count,
    bounce_count,
    block_count,
    spam_report_count,
    open_count,
    daily_unique_open_count,
    click_count,
    daily_unique_click_count,
    {{ share_with_interval('delivered_count', 'processed_count', 'delivered_share') }},
    {{ is_small('processed_count') }} as is_small_sample,
    happened_on
from {{ ref('stg_sendgrid__mailbox_provider_stats') }}
