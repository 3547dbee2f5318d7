-- Where does mail not arrive, by mailbox provider, and what do spam reports say?
select
    vendor, mailbox_provider, sent_count, delivered_count, round(100 * bounce_share, 2) as bounced_percent,
    round(100 * bounce_share_low, 2) as low, round(100 * bounce_share_high, 2) as high,
    round(100 * spam_share, 3) as spam_percent, spam_outcome
from marts.agg_deliverability
where period = 'window'
order by vendor, mailbox_provider = 'all' desc, bounce_share desc, mailbox_provider
