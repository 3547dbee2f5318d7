-- Which message earned each of the latest orders, and how long before?
-- Needs PUBLISH_PEOPLE=true. The row is Klaviyo's own answer; put last_touch in its place for the rule computed here.
select
    orders.ordered_at, orders.order_id, orders.order_number, orders.net_amount, orders.currency, credits.channel,
    credits.message_id, round(epoch(orders.ordered_at - credits.touched_at) / 3600, 1) as hours_before
from marts.fct_orders as orders
left join marts.fct_order_attribution as credits
    on orders.order_id = credits.order_id and credits.attribution_model = 'klaviyo'
order by orders.ordered_at desc, orders.order_id
limit 50
