{{ shares_by_day(
    ref('stg_sendgrid__device_stats'),
    labels={'device_class': 'device_class'},
    counts=['open_count', 'daily_unique_open_count'],
    part='daily_unique_open_count',
) }}
