-- Who are the champions, and who is at risk, by our groups and by Klaviyo's?
select
    rfm_group, klaviyo_rfm_group, buyer_count, round(buyer_share, 3) as buyer_share, net_revenue,
    round(net_revenue_share, 3) as net_revenue_share, net_revenue_per_buyer, currency
from marts.agg_rfm_groups
order by net_revenue desc, rfm_group, klaviyo_rfm_group
