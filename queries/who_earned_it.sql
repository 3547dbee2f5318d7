-- Which campaigns and flows earned the orders, by which rule?
-- None of these rules shows that a message caused an order.
select
    thing, coalesce(thing_name, thing_id) as name, channel, currency,
    sum(revenue) filter (where attribution_model = 'klaviyo') as klaviyo,
    sum(revenue) filter (where attribution_model = 'last_touch') as last_touch,
    sum(revenue) filter (where attribution_model = 'first_touch') as first_touch,
    sum(revenue) filter (where attribution_model = 'position_based') as position_based
from marts.agg_attribution
group by all
order by klaviyo desc nulls last, last_touch desc
