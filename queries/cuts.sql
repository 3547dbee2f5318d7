-- Which cuts did Mavera propose for our videos, and where do viewers leave them?
select
    media_name, round(from_seconds) as from_seconds, round(to_seconds) as to_seconds, round(lost_share, 2) as lost_share,
    proposed_edits
from marts.fct_drop_off_edits
order by lost_share desc
