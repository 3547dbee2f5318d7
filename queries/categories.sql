-- Which categories of single sends are clicked more than the others?
select
    category, click_outcome, single_send_count, delivered_count, round(unique_click_share, 4) as click_share,
    round(unique_click_share_low, 4) as low, round(unique_click_share_high, 4) as high,
    round(other_unique_click_share, 4) as others, round(adjusted_p_value, 4) as adjusted_p_value
from marts.agg_categories_compared
order by adjusted_p_value, category
