-- What does one person do across e-mail, texts, video and the shop?
-- Needs PUBLISH_PEOPLE=true. It shows the person with most of all three; put another person_id in its place.
with person as (
    select person_id from marts.dim_people
    where has_wistia and order_count > 0 and last_email_touch_at is not null
    order by order_count desc, last_email_touch_at desc, person_id limit 1
)
select happened_at, coalesce(channel, 'shop') as place, metric_name as what, coalesce(campaign_id, flow_id, product_id) as which, value_amount as amount
from marts.fct_customer_events join person using (person_id)
union all
select viewed_at, 'video', 'Watched ' || round(100 * watched_share) || '%', media_name, null
from marts.fct_viewing_sessions join person using (person_id)
order by happened_at desc, what, which
