-- Who keeps receiving e-mails and has opened none of the last ten or more?
-- Needs PUBLISH_PEOPLE=true. Opens by machines do not count as opens.
select
    buyer_id, sum(received_count) as received, sum(machine_open_count) as machine_opens, bool_or(is_unsubscribed) as unsubscribed,
    max(last_received_at)::date as last_received_on
from marts.fct_person_messages
where channel = 'email'
group by all
having received >= 10 and sum(open_count) = 0 and sum(click_count) = 0
order by received desc, last_received_on desc, machine_opens desc, buyer_id
