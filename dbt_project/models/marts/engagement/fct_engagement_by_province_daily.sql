{{ shares_by_day(
    ref('stg_sendgrid__geo_stats'),
    labels={'country': 'country_filter', 'province': 'place'},
    counts=['open_count', 'daily_unique_open_count', 'click_count', 'daily_unique_click_count'],
    part='daily_unique_open_count',
    within=['country'],
    where="stat_type = 'province'",
) }}
