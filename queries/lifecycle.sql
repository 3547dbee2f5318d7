-- Who is new, active, at risk, lapsed or won back, on each channel?
select
    channel, lifecycle, person_count, round(person_share, 3) as person_share, buyer_count, net_revenue, currency
from marts.agg_lifecycle
order by channel, person_count desc, lifecycle
