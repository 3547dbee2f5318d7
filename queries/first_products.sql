-- With which product do buyers begin, and how many of them buy again?
-- Needs PUBLISH_PEOPLE=true.
with repeats as (
    select buyer_id, max(order_number) > 1 as has_repeated from marts.fct_orders where buyer_id is not null group by all
)
select
    items.product_name, count(distinct buyer_id) as buyer_count,
    count(distinct buyer_id) filter (where has_repeated) as repeated_count, round(repeated_count / buyer_count, 2) as repeated_share
from marts.fct_order_items as items
join marts.fct_orders as orders using (order_id, buyer_id)
join repeats using (buyer_id)
where orders.order_number = 1
group by all
order by buyer_count desc, product_name
