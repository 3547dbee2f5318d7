-- Which variation of a campaign or flow message won?
select
    message_kind, message_name, variation_id, outcome, recipient_count, round(opened_share, 3) as opened_share,
    round(clicked_share, 3) as clicked_share, round(clicked_share_low, 3) as low, round(clicked_share_high, 3) as high,
    round(p_value, 4) as p_value
from marts.fct_message_variations
order by outcome not in ('winner', 'loser'), p_value, message_name, variation_id
