-- Who moved between tiers in the last month, and from which to which?
-- Needs PUBLISH_PEOPLE=true: it reads one row per move of a customer.
select tier_before, tier_after, count(*) as move_count, count(*) filter (where is_rule_change) as with_new_thresholds
from marts.fct_tier_changes
where changed_on > (select max(measured_on) from marts.dim_customers) - interval 1 month
group by tier_before, tier_after
order by move_count desc, tier_before, tier_after
