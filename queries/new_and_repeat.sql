-- How much do first and repeated orders bring in each month, and how much was discounted?
-- Needs PUBLISH_PEOPLE=true. A month that has just begun is not whole.
select
    dates.month, orders.currency,
    count(*) filter (where order_number = 1) as first_orders, count(*) filter (where order_number > 1) as repeated_orders,
    sum(net_amount) filter (where order_number = 1) as first_revenue, sum(net_amount) filter (where order_number > 1) as repeated_revenue,
    sum(discount_amount) as discounts, sum(refunded_amount) as refunds
from marts.fct_orders as orders
join marts.dim_dates as dates on orders.ordered_on = dates.day_on
where orders.is_account_currency
group by all
order by dates.month desc
