-- What are binge watchers and others worth, by tier, stage of e-mail and consent?
select
    viewer_cluster, clv_tier, email_lifecycle, email_consent, person_count, mailable_count, buyer_count, net_revenue, predicted_clv,
    currency
from marts.agg_people_crossed
order by viewer_cluster <> 'binge_watchers', viewer_cluster, person_count desc, clv_tier, email_lifecycle, email_consent
