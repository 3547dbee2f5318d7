-- Where do viewers stop watching our videos, and what is said there?
select
    media_name, round(from_seconds) as from_seconds, round(to_seconds) as to_seconds, lost_play_count,
    round(lost_share, 2) as lost_share, caption_excerpt
from marts.fct_media_drop_offs
order by lost_play_count desc
