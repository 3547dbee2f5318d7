{{ shares_by_day(
    ref('stg_sendgrid__client_stats'),
    labels={'client': 'client'},
    counts=['open_count', 'daily_unique_open_count'],
    part='daily_unique_open_count',
) }}
