-- Which top-tier customers may leave?
-- Needs PUBLISH_PEOPLE=true: it reads a row per customer.
-- By key, as the published copy holds no address: Klaviyo opens a profile by it.
select
    customer_id, predicted_clv, currency, churn_band, churn_probability,
    next_order_expected_at::date as next_order_on
from marts.dim_customers
where clv_tier = 'top' and churn_band in ('medium', 'high')
order by churn_probability desc, predicted_clv desc
