"""Klaviyo's reports on request, by POST, from stored events: metric aggregates, flow and campaign values.

Aggregates count an event on the day on which it happened, reports on the day on which its message was sent,
as the live service does: the two never agree. Names, limits and values are those of revision 2026-07-15.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

import orjson

from sandbox.klaviyo.endpoints import TIERS
from sandbox.klaviyo.requests import Refusal, bad_filter, conditions_of, read_datetime, value_of
from sandbox.world import World

Attributes = Mapping[str, Any]

ATTRIBUTES: Final = "/data/attributes/"
LONGEST: Final = timedelta(days=366)  # a year, leap or not
LARGEST_PAGE: Final = 500
REPORT_LIMITS: Final = ((1, 1), (2, 60), (225, 86_400))
EARLIEST_REPORT: Final = datetime(2023, 6, 1, tzinfo=UTC)


def words(text: str) -> list[str]:
    return text.split()


MEASUREMENTS: Final = ("count", "sum_value", "unique")
INTERVALS: Final = ("hour", "day", "week", "month")
GROUPINGS: Final = [
    *words(
        """
        $attributed_channel $attributed_flow $attributed_message $attributed_variation $campaign_channel
        $flow $flow_channel $message $message_send_cohort $usage_amount $value_currency $variation
        $variation_send_cohort List Method Subject URL form_id
        """
    ),
    *("Bot Click", "Bounce Type", "Campaign Name", "Client Canonical", "Client Name", "Client Type"),
    *("Email Domain", "Failure Source", "Failure Type", "From Number", "From Phone Region", "Inbox Provider"),
    *("Message Format", "Message Name", "Message Type", "Segment Count", "To Number", "To Phone Region"),
]
ATTRIBUTED: Final = {
    "$attributed_channel": "channel",
    "$attributed_flow": "flow_id",
    "$attributed_message": "message_id",
}
TIMEFRAMES: Final = words(
    """
    last_12_months last_30_days last_365_days last_3_months last_7_days last_90_days last_month last_week
    last_year this_month this_week this_year today yesterday
    """
)

# A statistic of the messages sent: SQL over one row per message with its results.
COUNTED: Final = {
    "recipients": "count(*)",
    "delivered": "count(*)",
    "opens": "sum(open_count)",
    "opens_unique": "count(*) filter (open_count > 0)",
    "clicks": "sum(click_count)",
    "clicks_unique": "count(*) filter (click_count > 0)",
    "conversions": "sum(order_count)",
    "conversion_uniques": "count(distinct profile_id) filter (order_count > 0)",
    "conversion_value": "sum(order_value)",
    # This account's flows have none of these.
    **dict.fromkeys(
        [
            "bounced",
            "failed",
            "bounced_or_failed",
            "unsubscribes",
            "unsubscribe_uniques",
            "spam_complaints",
            "message_segment_count_sum",
            "text_message_spend",
            "text_message_roi",
            "text_message_credit_usage_amount",
        ],
        "0",
    ),
}
SHARES: Final = {
    "delivery_rate": ("delivered", "recipients"),
    "open_rate": ("opens_unique", "delivered"),
    "click_rate": ("clicks_unique", "delivered"),
    "click_to_open_rate": ("clicks_unique", "opens_unique"),
    "bounce_rate": ("bounced", "recipients"),
    "failed_rate": ("failed", "recipients"),
    "bounced_or_failed_rate": ("bounced_or_failed", "recipients"),
    "unsubscribe_rate": ("unsubscribe_uniques", "delivered"),
    "spam_complaint_rate": ("spam_complaints", "delivered"),
    "conversion_rate": ("conversion_uniques", "delivered"),
    "average_order_value": ("conversion_value", "conversions"),
    "revenue_per_recipient": ("conversion_value", "delivered"),
}
FLOW_GROUPS: Final = {
    "flow_id": "flow_id",
    "flow_message_id": "flow_message_id",
    "flow_message_name": "message_name",
    "flow_name": "flow_name",
    "send_channel": "channel",
    **dict.fromkeys(["tag_id", "tag_name", "text_message_format", "variation", "variation_name"], "''"),
}
ALWAYS_GROUPED: Final = ["flow_id", "flow_message_id", "send_channel"]
RECEIVED: Final = "metric_name in ('Received Email', 'Received SMS', 'Received Text Message')"
# The same for a campaign, whose sums already exist; an SMS is one segment long.
CAMPAIGN_COUNTED: Final = dict.fromkeys(COUNTED, "0") | {
    **{
        name: f"sum({name})"
        for name in words("recipients delivered opens opens_unique clicks clicks_unique bounced")
    },
    **{
        name: f"sum(if(is_order, {name}, 0))"
        for name in words("conversions conversion_uniques conversion_value")
    },
    "bounced_or_failed": "sum(bounced)",
    "message_segment_count_sum": "sum(segments)",
}
CAMPAIGN_GROUPS: Final = {
    "campaign_id": "campaign_id",
    "campaign_message_id": "campaign_message_id",
    "campaign_message_name": "name",
    "send_channel": "channel",
    **dict.fromkeys(
        words("group group_name tag_id tag_name text_message_format variation variation_name"), "''"
    ),
}
CAMPAIGN_ALWAYS_GROUPED: Final = ["campaign_id", "campaign_message_id", "send_channel"]


@dataclass(frozen=True)
class Report:
    """A query by POST: its limits as requests and seconds, its fields, the optional and required body fields.

    `answer` gets the world, the attributes of the body and the requested address. Raises Refusal.
    """

    name: str
    scopes: str
    limits: Sequence[tuple[int, int]]
    fields: frozenset[str]
    known: frozenset[str]
    required: frozenset[str]
    answer: Callable[[World, Attributes, str], str]
    parameters: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        return f"{self.name}s"

    @property
    def takes(self) -> set[str]:
        """The parameters of the address."""
        return {f"fields[{self.name}]", *self.parameters}

    def attributes_of(self, content: bytes) -> Attributes:
        """Return the attributes of a body. Raises Refusal if it does not fit this report's form."""
        try:
            data = orjson.loads(content)["data"]
            kind, attributes = data["type"], dict(data["attributes"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise Refusal(400, "The body must have data with type and attributes.", "/data") from None
        if kind != self.name:
            raise Refusal(400, f"'{kind}' is not '{self.name}'.", "/data/type")
        for name in sorted(attributes.keys() - self.known):
            raise refused(name, f"'{name}' is not an attribute of {self.name}")
        for name in sorted(self.required - attributes.keys()):
            raise refused(name, f"'{name}' is required")
        return {name: value for name, value in attributes.items() if value is not None}


def refused(name: str, reason: str) -> Refusal:
    """Return the refusal of one attribute of the body."""
    return Refusal(400, f"{reason}.", f"{ATTRIBUTES}{name}")


def chosen_of(asked: Attributes, name: str, allowed: Sequence[str], usual: Sequence[str] = ()) -> list[str]:
    """Return a list of the body. Raises Refusal if it is not a list or names a value that is not allowed."""
    values = asked.get(name, list(usual))
    if not isinstance(values, list):
        raise refused(name, f"'{name}' must be a list")
    for value in values:
        if value not in allowed:
            raise refused(name, f"'{value}' is not a valid value of '{name}'")
    return values


def one_of(asked: Attributes, name: str, allowed: Sequence[str], usual: str) -> str:
    value: str = asked.get(name, usual)
    if value not in allowed:
        raise refused(name, f"'{value}' is not a valid value of '{name}'")
    return value


def known_metric(world: World, asked: Attributes, name: str) -> int:
    """Return the number of the metric that an attribute names. Raises Refusal if there is none."""
    found = world.sql("select metric_no from klaviyo_metrics where metric_id = ?", [asked[name]])
    if not found:
        raise refused(name, f"'{asked[name]}' is not a metric")
    number: int = found[0][0]
    return number


def texts(values: Sequence[str]) -> str:
    """Return texts as SQL."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


# --- metric aggregates ----------------------------------------------------------------------------------


def aggregates(world: World, asked: Attributes, url: str) -> str:
    """Return sums of one metric by interval, a row for each combination of its groupings.

    Attributions are not properties of an event; an event with two counts for each of them.
    """
    metric = known_metric(world, asked, "metric_id")
    measured = chosen_of(asked, "measurements", MEASUREMENTS)
    if not measured:
        raise refused("measurements", "'measurements' must not be empty")
    by = chosen_of(asked, "by", GROUPINGS)
    interval = one_of(asked, "interval", INTERVALS, "day")
    size = _size_of(asked)
    sorts = [f"{sign}{name}" for name in (*by, *measured) for sign in ("", "-")]
    sort = one_of(asked, "sort", ["", *sorts], "")
    zone = _zone_of(asked)
    start, end, conditions = _range_of(asked["filter"], zone)
    buckets = list(_buckets(start.astimezone(zone), end.astimezone(zone), interval))
    is_attributed = any("attribution." in sql for sql in [*map(_property, by), *conditions])
    rows = world.sql(
        f"""
        select
            [{", ".join(_property(name) for name in by)}]::varchar[] as dimensions,
            date_trunc('{interval}', occurred_at at time zone ?) as bucket,
            count(*)::double,
            round(coalesce(sum(value), 0), 2)::double,
            count(distinct profile_id)::double
        from klaviyo_events as event
        left join {"klaviyo_attributions" if is_attributed else "(select null as event_id)"} as attribution
            on event.event_id = attribution.event_id
        where metric_no = ? and occurred_at >= ? and occurred_at < ? {"".join(conditions)}
        group by all
        """,
        [zone.key, metric, start, end],
    )
    groups = _grouped(rows, buckets, is_whole=not by)
    order = sorted(groups)
    if sort:
        name = sort.removeprefix("-")
        order.sort(
            key=lambda group: group[by.index(name)] if name in by else sum(groups[group][name]),
            reverse=sort.startswith("-"),
        )
    same = {name: value for name, value in asked.items() if name != "page_cursor"}
    listing = sha256(orjson.dumps(same, option=orjson.OPT_SORT_KEYS)).hexdigest()[:15]
    first = _place_of(asked.get("page_cursor"), listing)
    following = _page_from(url, listing, first + size) if first + size < len(order) else None
    resource = {
        "type": "metric-aggregate",
        "id": str(int(listing, 16)),
        "attributes": {
            "dates": [bucket.isoformat() for bucket in buckets],
            "data": [
                {"dimensions": group, "measurements": {name: groups[group][name] for name in measured}}
                for group in order[first : first + size]
            ],
        },
        "links": {"self": url},
    }
    return orjson.dumps({"data": resource, "links": {"self": url, "next": following, "prev": None}}).decode()


def _grouped(
    rows: Sequence[tuple[Any, ...]], buckets: Sequence[datetime], *, is_whole: bool
) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """Return each measurement of each group, a number per bucket; if it `is_whole`, of one group."""
    nothing = [0.0] * len(buckets)
    places = {bucket.replace(tzinfo=None): place for place, bucket in enumerate(buckets)}
    groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
    if is_whole:
        groups[()] = {name: list(nothing) for name in MEASUREMENTS}
    for dimensions, bucket, *values in rows:
        group = groups.setdefault(tuple(dimensions), {name: list(nothing) for name in MEASUREMENTS})
        for name, value in zip(MEASUREMENTS, values, strict=True):
            group[name][places[bucket]] = value
    return groups


def _size_of(asked: Attributes) -> int:
    size = asked.get("page_size", LARGEST_PAGE)
    if not isinstance(size, int) or not 1 <= size <= LARGEST_PAGE:
        raise refused("page_size", f"Page size must be an integer from 1 to {LARGEST_PAGE}")
    return size


def _zone_of(asked: Attributes) -> ZoneInfo:
    try:
        return ZoneInfo(asked.get("timezone", "UTC"))
    except (KeyError, ValueError, OSError, TypeError):
        raise refused("timezone", f"'{asked['timezone']}' is not a time zone") from None


def _range_of(filters: Any, zone: ZoneInfo) -> tuple[datetime, datetime, list[str]]:
    """Return the start and end that a filter must name, and its other conditions as SQL. Raises Refusal."""
    if not isinstance(filters, list):
        raise refused("filter", "'filter' must be a list")
    bounds: dict[str, datetime] = {}
    conditions = []
    for operator, name, operand in [each for text in filters for each in conditions_of(str(text))]:
        if name == "datetime" and operator in ("greater-or-equal", "less-than") and operator not in bounds:
            moment: datetime = value_of(operator, operand, "datetime")
            is_local = operand is not None and datetime.fromisoformat(operand).tzinfo is None
            bounds[operator] = moment.replace(tzinfo=zone) if is_local else moment
        elif name in GROUPINGS and operator in ("equals", "any"):
            conditions.append(f" and {_property(name)} in ({texts(value_of(operator, operand, 'string'))})")
        else:
            raise bad_filter(f"'{operator}' is not allowed on '{name}'")
    if len(bounds) < 2:
        raise bad_filter("a range of datetime is required: greater-or-equal and less-than")
    start, end = bounds["greater-or-equal"], bounds["less-than"]
    if not timedelta() < end - start <= LONGEST:
        raise bad_filter("datetime must span more than nothing and at most a year")
    return start, end, conditions


def _property(name: str) -> str:
    """Return an attribute of an event as SQL; empty if it has none."""
    if name in ATTRIBUTED:
        return f"coalesce(attribution.{ATTRIBUTED[name]}, '')"
    return f"""coalesce(event_properties ->> '$."{name}"', '')"""


def _buckets(start: datetime, end: datetime, interval: str) -> Iterator[datetime]:
    """Yield the starts of the intervals that reach into the range, in the zone of its ends."""
    at = start.replace(minute=0, second=0, microsecond=0)
    if interval != "hour":
        at = at.replace(hour=0)
    if interval == "week":
        at -= timedelta(days=at.weekday())
    if interval == "month":
        at = at.replace(day=1)
    while at < end:
        yield at
        if interval == "month":
            at = (at + timedelta(days=31)).replace(day=1)
        else:
            at += {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[interval]


def _page_from(url: str, listing: str, place: int) -> str:
    """Return the address of the page that starts at this position."""
    cursor = urlsafe_b64encode(f"{listing}:{place}".encode()).decode()
    return f"{urlsplit(url)._replace(query='').geturl()}?{urlencode({'page_cursor': cursor})}"


def _place_of(cursor: Any, listing: str) -> int:
    """Return where a page starts. Raises Refusal for a cursor that belongs to another query."""
    if cursor is None:
        return 0
    try:
        given_for, place = urlsafe_b64decode(str(cursor)).decode().split(":")
        if given_for == listing:
            return int(place)
    except ValueError:
        pass
    raise Refusal(400, "Invalid cursor provided.", f"{ATTRIBUTES}page_cursor")


# --- values of flows ------------------------------------------------------------------------------------


def flow_values(world: World, asked: Attributes, url: str) -> str:
    """Return the results of the messages that flows sent within a timeframe, in one answer."""
    by, metric, start, end, conditions = _values_asked_of(world, asked, FLOW_GROUPS, ALWAYS_GROUPED)
    rows = world.sql(
        f"""
        with event as (
            select
                event_id, profile_id, occurred_at, metric_no, metric_name, value,
                message_id as flow_message_id
            from klaviyo_deeds_told where flow_id is not null
            union all
            select event.event_id, profile_id, occurred_at, metric_no, metric_name, value, flow_message_id
            from klaviyo_attributions inner join klaviyo_deeds_told as event using (event_id)
            where klaviyo_attributions.flow_id is not null
        ),
        message as (
            select
                event.*, flows.flow_id, flows.name as flow_name, messages.channel,
                messages.name as message_name
            from event
            inner join klaviyo_flow_messages as messages using (flow_message_id)
            inner join klaviyo_flows as flows on messages.flow_id = flows.flow_id
            where {RECEIVED} and occurred_at >= ? {"".join(conditions)}
        ),
        told as (
            select
                message.event_id,
                count(*) filter (event.metric_name like 'Opened %') as open_count,
                count(*) filter (event.metric_name like 'Clicked %') as click_count,
                count(*) filter (event.metric_no = ?) as order_count,
                coalesce(sum(event.value) filter (event.metric_no = ?), 0) as order_value
            from event asof inner join message
                on event.profile_id = message.profile_id and event.flow_message_id = message.flow_message_id
                and event.occurred_at >= message.occurred_at
            group by all
        )
        select
            [{", ".join(FLOW_GROUPS[name] for name in by)}]::varchar[] as grouped,
            {", ".join(f"coalesce({sql}, 0)::double" for sql in COUNTED.values())}
        from message left join told using (event_id)
        where occurred_at < ?
        group by all order by all
        """,
        [start, metric, metric, end],
    )
    return _values_of("flow-values-report", url, asked, by, rows)


# --- values of campaigns --------------------------------------------------------------------------------


def campaign_values(world: World, asked: Attributes, url: str) -> str:
    """Return the results of campaigns sent within a timeframe; an order counts, its lines do not."""
    by, metric, start, end, conditions = _values_asked_of(
        world, asked, CAMPAIGN_GROUPS, CAMPAIGN_ALWAYS_GROUPED
    )
    rows = world.sql(
        f"""
        select
            [{", ".join(CAMPAIGN_GROUPS[name] for name in by)}]::varchar[] as grouped,
            {", ".join(f"({sql})::double" for sql in CAMPAIGN_COUNTED.values())}
        from (
            select
                totals.*, metric_no = 6 as is_order,
                if(totals.channel = 'sms', recipients, 0) as segments
            from klaviyo_campaign_totals as totals cross join klaviyo_metrics
            where metric_no = ? and send_time >= ? and send_time < ?
        )
        where true {"".join(conditions)}
        group by all order by all
        """,
        [metric, start, end],
    )
    return _values_of("campaign-values-report", url, asked, by, rows)


# --- shared by both -------------------------------------------------------------------------------------


def _values_asked_of(
    world: World, asked: Attributes, groups: Mapping[str, str], always: Sequence[str]
) -> tuple[list[str], int, datetime, datetime, list[str]]:
    """Return groupings, conversion metric, start and end, and the filter's conditions. Raises Refusal."""
    if not chosen_of(asked, "statistics", [*COUNTED, *SHARES]):
        raise refused("statistics", "'statistics' must not be empty")
    by = chosen_of(asked, "group_by", list(groups), always)
    metric = known_metric(world, asked, "conversion_metric_id")
    if not world.sql("select 1 from klaviyo_events where metric_no = ? and value > 0 limit 1", [metric]):
        raise refused("conversion_metric_id", "This metric does not support querying for values data")
    start, end = _timeframe_of(world, asked["timeframe"])
    conditions = []
    for operator, name, operand in conditions_of(asked.get("filter", "")):
        if name not in always or operator not in ("equals", "contains-any"):
            raise bad_filter(f"'{operator}' is not allowed on '{name}'")
        conditions.append(f" and {groups[name]} in ({texts(value_of(operator, operand, 'string'))})")
    return by, metric, start, end, conditions


def _values_of(
    name: str, url: str, asked: Attributes, by: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> str:
    """Write a report: a row for each group, its values first, then COUNTED in their order."""
    results = []
    for grouped, *counts in rows:
        figures = dict(zip(COUNTED, counts, strict=True))
        for share, (part, whole) in SHARES.items():
            figures[share] = figures[part] / figures[whole] if figures[whole] else 0.0
        results.append(
            {
                "groupings": dict(zip(by, grouped, strict=True)),
                "statistics": {each: round(figures[each], 6) for each in asked["statistics"]},
            }
        )
    report = {"type": name, "attributes": {"results": results}, "links": {"self": url}}
    return orjson.dumps({"data": report, "links": {"self": url, "next": None, "prev": None}}).decode()


def _timeframe_of(world: World, frame: Any) -> tuple[datetime, datetime]:
    """Return start and end of a named or written timeframe; named days end with today. Raises Refusal."""
    midnight = datetime.combine(world.as_of, datetime.min.time(), UTC)
    if isinstance(frame, dict) and frame.keys() == {"start", "end"}:
        try:
            start, end = read_datetime(frame["start"]), read_datetime(frame["end"])
        except (TypeError, ValueError):
            raise refused("timeframe", "start and end must be times") from None
    elif isinstance(frame, dict) and frame.keys() == {"key"} and frame["key"] in TIMEFRAMES:
        start, end = _named(midnight, frame["key"])
    else:
        raise refused("timeframe", "'timeframe' must have a known key, or start and end")
    if not timedelta() < end - start <= LONGEST or start < EARLIEST_REPORT:
        raise refused("timeframe", f"A timeframe spans at most a year, from {EARLIEST_REPORT:%Y-%m-%d} on")
    return start, end


def _named(midnight: datetime, key: str) -> tuple[datetime, datetime]:
    tomorrow = midnight + timedelta(days=1)
    monday = midnight - timedelta(days=midnight.weekday())
    month, year = midnight.replace(day=1), midnight.replace(month=1, day=1)
    before_month = (month - timedelta(days=1)).replace(day=1)
    match key.split("_"):
        case ["today"]:
            return midnight, tomorrow
        case ["yesterday"]:
            return midnight - timedelta(days=1), midnight
        case ["this", unit]:
            return {"week": monday, "month": month, "year": year}[unit], tomorrow
        case ["last", "week"]:
            return monday - timedelta(days=7), monday
        case ["last", "month"]:
            return before_month, month
        case ["last", "year"]:
            return year.replace(year=year.year - 1), year
        case ["last", count, "days"]:
            return tomorrow - timedelta(days=int(count)), tomorrow
        case ["last", "3", "months"]:
            return month - timedelta(days=89), tomorrow
    return tomorrow - timedelta(days=365), tomorrow


REPORTS: Final = (
    Report(
        "metric-aggregate",
        "metrics:read",
        tuple(zip(TIERS["S"], (1, 60), strict=True)),
        fields=frozenset({"id", "data", "dates"}),
        known=frozenset(
            [
                "metric_id",
                "page_cursor",
                "measurements",
                "interval",
                "page_size",
                "by",
                "return_fields",
                "filter",
                "timezone",
                "sort",
            ]
        ),
        required=frozenset({"metric_id", "measurements", "filter"}),
        answer=aggregates,
    ),
    Report(
        "flow-values-report",
        "flows:read",
        REPORT_LIMITS,
        fields=frozenset({"id", "results"}),
        known=frozenset({"statistics", "timeframe", "conversion_metric_id", "group_by", "filter"}),
        required=frozenset({"statistics", "timeframe", "conversion_metric_id"}),
        answer=flow_values,
        parameters=frozenset({"page_cursor"}),
    ),
    Report(
        "campaign-values-report",
        "campaigns:read",
        REPORT_LIMITS,
        fields=frozenset({"id", "results"}),
        known=frozenset({"statistics", "timeframe", "conversion_metric_id", "group_by", "filter"}),
        required=frozenset({"statistics", "timeframe", "conversion_metric_id"}),
        answer=campaign_values,
        parameters=frozenset({"page_cursor"}),
    ),
)
