-- Which links are clicked, and by what share of the recipients?
select
    vendor, message_name, link, recipient_count, click_count, clicker_count,
    round(clicker_share, 3) as clicker_share, round(click_share, 3) as share_of_clicks, machine_click_count
from marts.fct_links
where not is_small_sample
order by clicker_count desc nulls last, click_count desc, message_name, link
