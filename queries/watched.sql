-- Which videos are watched to the end, and how precise is the mean?
select
    media_name, person_count, session_count, round(mean_watched_share, 2) as watched_share,
    round(mean_watched_share_low, 2) as low, round(mean_watched_share_high, 2) as high
from marts.fct_media_performance
where not is_small_sample
order by mean_watched_share desc
