{{ shares_by_day(
    ref('stg_sendgrid__browser_stats'),
    labels={'browser': 'browser'},
    counts=['click_count', 'daily_unique_click_count'],
    part='daily_unique_click_count',
) }}
