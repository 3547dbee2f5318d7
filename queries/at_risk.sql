-- Which top-tier customers may stop buying?
-- Needs PUBLISH_PEOPLE=true: it reads one row per customer.
-- Customers are listed by key, because the published copy has no addresses. Klaviyo opens a profile by its key.
select
    customer_id, predicted_clv, currency, churn_band, churn_probability,
    next_order_expected_at::date as next_order_on
from marts.dim_customers
where clv_tier = 'top' and churn_band in ('medium', 'high')
order by churn_probability desc, predicted_clv desc
