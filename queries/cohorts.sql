-- How do cohorts of buyers retain, and what is a buyer worth by then?
select
    cohort_month, month_number, member_count, buyer_count, round(buyer_share, 3) as buyer_share,
    round(buyer_share_low, 3) as low, round(buyer_share_high, 3) as high, cumulative_net_revenue_per_member, currency
from marts.agg_order_cohorts
where cohort_kind = 'first_order' and is_complete
order by cohort_month, month_number
