-- When should we send to a segment?
-- Its best window, and whether it is surely above the mean hour and above everybody.
select
    segment_kind, segment_name, days, hour_from, segment_person_count as people,
    round(window_index, 2) as window_index, round(window_index_low, 2) as low, round(window_index_high, 2) as high,
    is_surely_above_mean_hour as is_sure, is_surely_above_account as is_above_everybody
from marts.agg_send_windows
where window_position = 1
order by segment_kind <> 'everybody', is_sure desc, window_index desc, segment_kind, segment_name
