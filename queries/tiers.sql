-- How is customer value distributed, and how much of it is at risk?
select clv_tier, churn_band, customer_count, round(tier_share, 2) as tier_share, predicted_clv, currency
from marts.agg_customers_by_tier
where predicted_clv is not null
order by clv_tier = 'rest', clv_tier = 'middle', churn_band = 'high' desc, churn_band = 'medium' desc
