-- At which local hour and weekday does whom reach us?
-- 1 is the mean hour of the week, by people's own clocks.
select
    segment_name, activity, ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'][local_weekday] as weekday, local_hour,
    person_count, event_count, round(hour_index, 2) as hour_index, round(hour_index_low, 2) as low,
    round(hour_index_high, 2) as high, is_small_sample
from marts.agg_reading_hours
where device_class = 'any'
order by segment_kind <> 'everybody', segment_name, activity, hour_index desc, local_weekday, local_hour
