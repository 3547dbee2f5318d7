"""The results of the mail, summed up once by day and kind, and the figures over these sums."""

from collections.abc import Sequence
from typing import Final

# One row per day, kind and value of one dimension; the columns of all other dimensions are null. A mail
# opened on two days is a unique open of each, but one of the week: repeats count once per bucket. Unique
# figures of days therefore do not add up to those of a longer period.
SUMS: Final = """
create table if not exists sendgrid_sums as
with repeated as (
    select *, lag(happened) over (partition by send_no, person_id, kind order by happened) as before
    from email_happenings where kind in ('open', 'click')
    union all
    select *, null from email_happenings where kind not in ('open', 'click')
),
named as (
    select
        make_date((happened // 86400)::integer) as day, make_date((before // 86400)::integer) as day_before,
        date_trunc('week', day_before) as week_before, date_trunc('month', day_before) as month_before,
        kind, send_no, ab_phase, variation, device, client, browser, country, region_code, provider
    from repeated inner join people using (person_id)
)
select
    day, kind::varchar as kind, send_no, ab_phase, variation,
    device, client, browser, country, region_code, provider,
    count(*) as all_times,
    count(*) filter (day_before is distinct from day) as first_of_day,
    count(*) filter (week_before is distinct from date_trunc('week', day)) as first_of_week,
    count(*) filter (month_before is distinct from date_trunc('month', day)) as first_of_month,
    count(*) filter (day_before is null) as first_of_all
from named
group by grouping sets (
    (day, kind, send_no, ab_phase, variation), (day, kind, device, client), (day, kind, browser),
    (day, kind, country, region_code), (day, kind, provider)
)
"""


DROPPED: Final = "'bounce_drop', 'invalid_email', 'spam_report_drop', 'unsubscribe_drop'"
# {unique} becomes the column that counts repeats once in the current bucket.
METRICS: Final = {
    "blocks": "sum(all_times) filter (kind = 'block')",
    "bounce_drops": "sum(all_times) filter (kind = 'bounce_drop')",
    "bounces": "sum(all_times) filter (kind = 'bounce')",
    "clicks": "sum(all_times) filter (kind = 'click')",
    "deferred": "sum(all_times) filter (kind = 'deferred')",
    "delivered": "sum(all_times) filter (kind = 'delivered')",
    "drops": f"sum(all_times) filter (kind in ({DROPPED}))",
    "invalid_emails": "sum(all_times) filter (kind = 'invalid_email')",
    "opens": "sum(all_times) filter (kind = 'open')",
    # requested and not dropped before sending
    "processed": f"sum(if(kind = 'request', all_times, -all_times)) filter (kind in ('request', {DROPPED}))",
    "requests": "sum(all_times) filter (kind = 'request')",
    "spam_report_drops": "sum(all_times) filter (kind = 'spam_report_drop')",
    "spam_reports": "sum(all_times) filter (kind = 'spam_report')",
    "unique_clicks": "sum({unique}) filter (kind = 'click')",
    "unique_opens": "sum({unique}) filter (kind = 'open')",
    "unsubscribe_drops": "sum(all_times) filter (kind = 'unsubscribe_drop')",
    "unsubscribes": "sum(all_times) filter (kind = 'unsubscribe')",
}
ACCOUNT_METRICS: Final = [name for name in METRICS if name != "drops"]
SEND_METRICS: Final = [
    *("requests", "delivered", "opens", "unique_opens", "clicks", "unique_clicks", "bounces", "bounce_drops"),
    *("invalid_emails", "spam_reports", "spam_report_drops", "unsubscribes"),
]
OPENS: Final = ["opens", "unique_opens"]
CLICKS: Final = ["clicks", "unique_clicks"]
PROVIDER_METRICS: Final = [
    *("blocks", "bounces", *CLICKS, "deferred", "delivered", "drops", *OPENS, "processed", "requests"),
    "spam_reports",
]


def figures_of(metrics: Sequence[str], unique: str) -> str:
    """Return the SQL of one JSON object with these sums over sendgrid_sums."""
    sums = (f"'{name}': coalesce({METRICS[name]}, 0)::bigint" for name in metrics)
    return f"{{{', '.join(sums)}}}::json".replace("{unique}", unique)
