{{ shares_by_day(
    ref('stg_sendgrid__geo_stats'),
    labels={'country': 'place'},
    counts=['open_count', 'daily_unique_open_count', 'click_count', 'daily_unique_click_count'],
    part='daily_unique_open_count',
    where="stat_type = 'country' and country_filter = ''",
) }}
