-- Who moved from one tier to another, and has ordered since?
-- Needs PUBLISH_PEOPLE=true: it reads one row per customer. Whether the prediction was right is in predictions.sql.
select
    changes.customer_id, changes.tier_before, changes.tier_after, changes.changed_on, customers.predicted_clv, customers.currency,
    count(orders.order_id) as orders_since, coalesce(sum(orders.net_amount), 0) as net_revenue_since
from marts.fct_tier_changes as changes
join marts.dim_customers as customers using (customer_id)
left join marts.fct_orders as orders
    on changes.customer_id = orders.customer_id
    and orders.ordered_on > changes.changed_on
    and orders.net_amount > 0
    and not orders.is_cancelled
    and orders.is_account_currency
where not changes.is_rule_change
group by all
order by changes.changed_on desc, changes.customer_id
