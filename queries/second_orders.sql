-- How many buyers order again within a week, a month and three months, and when have half of them?
select
    max(day_number) as by_day, round(max_by(ordered_again_share, day_number), 3) as ordered_again_share,
    round(max_by(ordered_again_share_low, day_number), 3) as low, round(max_by(ordered_again_share_high, day_number), 3) as high,
    min(day_number) filter (where is_median) as median_day
from marts.agg_second_orders
cross join (values (7), (30), (90)) as marks (within_days)
where day_number <= within_days
group by within_days
order by within_days
