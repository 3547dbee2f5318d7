-- Which products are bought together more often than by chance?
select
    product_a_name, product_b_name, joint_customer_count, round(chance_customer_count, 1) as chance_customer_count,
    round(lift, 2) as lift, round(lift_low, 2) as lift_low, adjusted_p_value, pair_price, currency
from marts.agg_product_pairs
where is_affinity
order by lift_low desc
limit 20
