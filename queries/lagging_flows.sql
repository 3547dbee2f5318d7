-- Which flow messages lag behind others with the same trigger?
select
    flow_name, message_name, channel, received_count, round(open_share, 3) as open_share,
    round(peer_open_share, 3) as peers_open, round(click_share, 3) as click_share,
    round(peer_click_share, 3) as peers_click
from marts.fct_flow_messages
where is_laggard
order by received_count desc
