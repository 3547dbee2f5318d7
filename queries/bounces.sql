-- Why does mail not arrive, by class of bounce and provider, in the last 12 weeks?
select
    vendor, bounce_kind, bounce_class, mailbox_provider, sum(bounce_count)::bigint as bounces,
    sum(permanent_count)::bigint as permanent
from marts.fct_bounces_weekly
where week_from > (select max(week_from) - 84 from marts.fct_bounces_weekly)
group by all
order by bounces desc, vendor, bounce_kind, bounce_class, mailbox_provider
