-- On which devices are our e-mails opened, by month?
select
    date_trunc('month', happened_on)::date as from_day, device_class,
    sum(daily_unique_open_count)::bigint as daily_unique_opens,
    round(sum(daily_unique_open_count) / sum(sum(daily_unique_open_count)) over (
        partition by date_trunc('month', happened_on)
    ), 3) as share
from marts.fct_opens_by_device_daily
group by 1, 2, date_trunc('month', happened_on)
order by from_day desc, daily_unique_opens desc
