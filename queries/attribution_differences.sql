-- How often do Klaviyo and its own rule, computed here, name the same message, and why not?
select difference, order_count, buyer_count, round(order_share, 3) as share_of_orders, revenue, currency
from marts.agg_attribution_differences
order by order_count desc
