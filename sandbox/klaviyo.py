"""Klaviyo: account, profiles, segments with their members, metrics and events, as JSON:API.

A row of ENDPOINTS says all that a path takes (fields, filters, sorts, page sizes, includes, scopes, limits);
one handler answers them all. DuckDB writes the JSON text of a page's rows, which it finds by position: a page
costs the same at any depth.

Where reports of the live service differ, what hurts a careless client is served: `data` of a relation only
when it is included, coordinates now as numbers, now as text, and HTML instead of JSON when a gateway fails.
"""

import math
import re
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route

from sandbox.vendor import Limit, Standing
from sandbox.world import World

KEY: Final = "pk_sandbox"
NARROW_KEY: Final = "pk_narrow"  # valid, without the scopes that show a person
ACCOUNT_ID: Final = "SANDBX"
HEADERS: Final = {"CID": ACCOUNT_ID, "Allow": "GET, HEAD"}
MEDIA_TYPE: Final = "application/vnd.api+json"

# A world may lie in the past; the API that serves it is never older than the contract it was written from.
CONTRACT_DATE: Final = date(2026, 11, 21)
OLDEST_REVISION: Final = date(2024, 10, 15)  # of those that come every quarter
REVISION_YEARS: Final = 2  # one stable, one deprecated
SETTLED: Final = timedelta(seconds=5)  # how far in the past a lower bound must lie

Tier = Literal["XS", "S", "M", "L", "XL"]
TIERS: Final[Mapping[Tier, tuple[int, int]]] = {  # requests a second, requests a minute
    "XS": (1, 15),
    "S": (3, 60),
    "M": (10, 150),
    "L": (75, 750),
    "XL": (350, 3500),
}

# Code and title. Those of 405, 410 and 500 are not documented and follow the style of the others.
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid", "Invalid input."),
    401: ("authentication_failed", "Incorrect authentication credentials."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "Method not allowed."),
    410: ("gone", "This revision is retired."),
    429: ("throttled", "Request was throttled."),
    500: ("error", "A server error occurred."),
}
GATEWAY_ERRORS: Final = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

SQL = str  # an expression over one row of a source; or a source, which has a column `position`
Fields = Mapping[str, SQL | None]


# --- what there is --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relation:
    """A kind that a resource points to, and the ids as a list; None where this account has no such things."""

    kind: str
    ids: SQL | None = None
    is_many: bool = True


@dataclass(frozen=True)
class Kind:
    """A type of resource.

    `fields` gives each attribute, dots for nested ones, as SQL; None where this account never has a value.
    `extra` are the outermost fields that are served only when `additional-fields` asks for them.
    """

    name: str
    fields: Fields
    source: SQL = ""
    key: str = ""
    relations: Mapping[str, Relation] = field(default_factory=dict)
    extra: frozenset[str] = frozenset()


def each(names: str, sql: SQL | None = "{}", below: str = "") -> Fields:
    """Give every name the same SQL, in which `{}` stands for the name."""
    return {f"{below}{name}": sql.format(name) if sql else None for name in names.split()}


TIME: Final = "strftime({} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S+00:00')"
CREATED: Final = TIME.format("created")
CONSENTED: Final = f"if({{}} = 'NEVER_SUBSCRIBED', null, {CREATED})"
SUPPRESSED: Final = "email_consent = 'UNSUBSCRIBED'"
EMAIL: Final = "subscriptions.email.marketing."
SMS: Final = "subscriptions.sms.marketing."
OPT_IN: Final = "can_receive consent consent_timestamp created_timestamp last_updated metadata valid_until"

ACCOUNT: Final = Kind(
    "account",
    {
        "test_account": "true",
        "contact_information.default_sender_name": "'Sandbox'",
        "contact_information.default_sender_email": "'shop@example.com'",
        "contact_information.website_url": "'https://shop.example'",
        "contact_information.organization_name": "'Sandbox'",
        **each("address1 address2 city region country zip", "null", "contact_information.street_address."),
        "industry": None,
        "timezone": "'UTC'",
        "preferred_currency": "'USD'",
        "public_api_key": "account_id",
        "locale": "'en-US'",
    },
    source=f"(select 0 as position, '{ACCOUNT_ID}' as account_id)",
    key="account_id",
)
PROFILE: Final = Kind(
    "profile",
    {
        **each("email phone_number external_id first_name last_name locale"),
        **each("organization title image", None),
        **each("created updated last_event_date", TIME),
        **each("city region country timezone", below="location."),
        **each("address1 address2 zip ip", None, "location."),
        "location.latitude": "if(person_id % 2 = 0, to_json(latitude), to_json(latitude::varchar))",
        "location.longitude": "longitude",
        "properties": "properties::json",
        f"{EMAIL}consent": "email_consent",
        f"{EMAIL}can_receive_email_marketing": "email_consent = 'SUBSCRIBED'",
        **each("consent_timestamp last_updated", CONSENTED.format("email_consent"), EMAIL),
        **each("method method_detail custom_method_detail double_optin", None, EMAIL),
        f"{EMAIL}suppression": f"if({SUPPRESSED}, [{{'reason': 'UNSUBSCRIBE', 'timestamp': {CREATED}}}], [])",
        f"{EMAIL}list_suppressions": "[]",
        **each(OPT_IN, None, "subscriptions.email.open_tracking."),
        f"{SMS}consent": "sms_consent",
        f"{SMS}can_receive_sms_marketing": "sms_consent = 'SUBSCRIBED'",
        **each("consent_timestamp last_updated", CONSENTED.format("sms_consent"), SMS),
        **each("method method_detail", None, SMS),
        **each(
            "can_receive_sms_transactional consent consent_timestamp last_updated method method_detail",
            None,
            "subscriptions.sms.transactional.",
        ),
        **each(
            "can_receive_push_marketing consent consent_timestamp",
            None,
            "subscriptions.mobile_push.marketing.",
        ),
        **each(f"{OPT_IN} phone_number", None, "subscriptions.whatsapp.conversational."),
        **each(f"{OPT_IN} phone_number", None, "subscriptions.whatsapp.marketing."),
        **each(f"{OPT_IN} phone_number", None, "subscriptions.whatsapp.transactional."),
        **each(
            """
            historic_clv predicted_clv total_clv historic_number_of_orders predicted_number_of_orders
            average_days_between_orders average_order_value churn_probability
            """,
            below="predictive_analytics.",
        ),
        **each("expected_date_of_next_order", TIME, "predictive_analytics."),
        "predictive_analytics.ranked_channel_affinity": """
        case when predicted_clv is not null
            then if(sms_consent = 'SUBSCRIBED', ['sms', 'email'], ['email'])
        end
        """,
    },
    source="klaviyo_profiles",
    key="profile_id",
    relations={
        "lists": Relation("list"),
        "segments": Relation(
            "segment",
            """
            (
                select coalesce(list(segment_id order by segment_id), [])
                from klaviyo_segment_members as member
                where member.profile_id = entry.profile_id
            )
            """,
        ),
        "push-tokens": Relation("push-token"),
        "conversations": Relation("conversation"),
    },
    extra=frozenset({"subscriptions", "predictive_analytics"}),
)
MEMBER: Final = replace(
    PROFILE,
    fields={**PROFILE.fields, **each("joined_group_at", TIME)},
    source="""
    (
        select profile.* replace (member.position as position), member.segment_id, member.joined_group_at
        from klaviyo_segment_members as member
        inner join klaviyo_profiles as profile using (person_id)
    )
    """,
)
SEGMENT: Final = Kind(
    "segment",
    {
        **each("name is_active is_processing is_starred"),
        **each("created updated", TIME),
        "definition.condition_groups": "[]",
        "profile_count": """
        (select count(*) from klaviyo_segment_members as member where member.segment_id = entry.segment_id)
        """,
    },
    source="klaviyo_segments",
    key="segment_id",
    relations={
        "profiles": Relation("profile"),
        "tags": Relation("tag"),
        "flow-triggers": Relation("flow"),
    },
    extra=frozenset({"profile_count"}),
)
METRIC: Final = Kind(
    "metric",
    {
        **each("name"),
        **each("created updated", TIME),
        "integration": """
        {
            'object': 'integration',
            'id': left(md5(integration_name), 6),
            'name': integration_name,
            'category': integration_category
        }
        """,
    },
    source="klaviyo_metrics",
    key="metric_id",
    relations={"flow-triggers": Relation("flow")},
)
EVENT: Final = Kind(
    "event",
    {
        "timestamp": "epoch(occurred_at)::bigint",
        "datetime": "(occurred_at at time zone 'UTC')::varchar || '+00:00'",  # a blank where others have a T
        "uuid": "uuid",
        "event_properties": "event_properties::json",
    },
    source="klaviyo_events",
    key="event_id",
    relations={
        "profile": Relation("profile", "[profile_id]", is_many=False),
        "metric": Relation("metric", "[metric_id]", is_many=False),
        "attributions": Relation("attribution"),
    },
)
# Relations lead to these, and a request may choose their fields; this account has none of them.
ABSENT: Final = (
    Kind("attribution", {}),
    Kind("conversation", each("channel", None)),
    Kind("flow", each("archived created name status trigger_type updated", None)),
    Kind("list", each("created name opt_in_process updated", None)),
    Kind(
        "push-token",
        {
            **each("background created enablement_status platform recorded_date token vendor", None),
            **each("app_build app_id app_name app_version device_id device_model", None, "metadata."),
            **each("environment klaviyo_sdk manufacturer os_name os_version sdk_version", None, "metadata."),
        },
    ),
    Kind("tag", each("name", None)),
)
KINDS: Final = {kind.name: kind for kind in (ACCOUNT, PROFILE, SEGMENT, METRIC, EVENT, *ABSENT)}


# --- what may be asked ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """How a field may be filtered: operators, SQL, the form of its values, and those that there are."""

    operators: str
    sql: SQL
    form: Literal["string", "datetime", "timestamp", "boolean", "none"] = "string"
    known: SQL | None = None


COMPARISONS: Final = {
    "any": "{} in (select unnest({}))",
    "equals": "{} in (select unnest({}))",
    "greater-than": "{} > {}",
    "greater-or-equal": "{} >= {}",
    "less-than": "{} < {}",
    "less-or-equal": "{} <= {}",
    "has": "{} is not null",
}
ONE_OF: Final = "any equals"
COMPARED: Final = "greater-or-equal greater-than less-or-equal less-than"
SUPPRESSED_AT: Final = f"if({SUPPRESSED}, created, null)"

PROFILE_FILTERS: Final = {
    "id": Filter(ONE_OF, "profile_id"),
    "email": Filter(ONE_OF, "email"),
    "phone_number": Filter(ONE_OF, "phone_number"),
    "external_id": Filter(ONE_OF, "external_id"),
    "_kx": Filter("equals", "null::varchar"),
    "created": Filter("greater-than less-than", "created", "datetime"),
    "updated": Filter("greater-than less-than", "updated", "datetime"),
    f"{EMAIL}suppression.reason": Filter("equals", f"if({SUPPRESSED}, 'UNSUBSCRIBE', null)"),
    f"{EMAIL}suppression.timestamp": Filter(COMPARED, SUPPRESSED_AT, "datetime"),
    f"{EMAIL}list_suppressions.reason": Filter("equals", "null::varchar"),
    f"{EMAIL}list_suppressions.timestamp": Filter(COMPARED, "null::timestamptz", "datetime"),
    f"{EMAIL}list_suppressions.list_id": Filter("equals", "null::varchar"),
}
MEMBER_FILTERS: Final = {
    "profile_id": Filter(ONE_OF, "profile_id"),
    "email": Filter(ONE_OF, "email"),
    "phone_number": Filter(ONE_OF, "phone_number"),
    "push_token": Filter(ONE_OF, "null::varchar"),
    "_kx": Filter("equals", "null::varchar"),
    "joined_group_at": Filter(COMPARED, "joined_group_at", "datetime"),
}
SEGMENT_FILTERS: Final = {
    "name": Filter(ONE_OF, "name"),
    "id": Filter(ONE_OF, "segment_id"),
    "created": Filter("greater-than", "created", "datetime"),
    "updated": Filter("greater-than", "updated", "datetime"),
    "is_active": Filter(ONE_OF, "is_active", "boolean"),
    "is_starred": Filter("equals", "is_starred", "boolean"),
}
METRIC_FILTERS: Final = {
    "integration.name": Filter("equals", "integration_name"),
    "integration.category": Filter("equals", "integration_category"),
}
EVENT_FILTERS: Final = {
    "metric_id": Filter("equals", "metric_id", known="select metric_id from klaviyo_metrics"),
    "profile_id": Filter("equals", "profile_id"),
    "profile": Filter("has", "profile_id", "none"),
    "metric": Filter("has", "metric_id", "none"),
    "datetime": Filter(COMPARED, "occurred_at", "datetime"),
    "timestamp": Filter(COMPARED, "occurred_at", "timestamp"),
}


class Paging(NamedTuple):
    """Rows of a page when no size is asked for, at most, and the revision that brought `page[size]`."""

    usual: int
    most: int
    since: date = date.min


@dataclass(frozen=True)
class Endpoint:
    """What one path takes and serves; names stand side by side in a string.

    `rows` picks its rows by the `$id` of the path, which names one of `parent`. `sorts` gives the SQL of each
    sort value: `position` where rows are stored in that order. `dear` names the additional fields and the
    includes that bring a lower tier. The shape `ids` is a list of types and ids alone.
    """

    path: str
    kind: Kind
    scopes: str
    tier: Tier
    shape: Literal["list", "one", "ids"] = "list"
    rows: SQL = "true"
    parent: Kind | None = None
    paging: Paging | None = None
    sorts: Mapping[str, SQL] = field(default_factory=dict)
    filters: Mapping[str, Filter] = field(default_factory=dict)
    includes: str = ""
    additional: frozenset[str] = frozenset()
    dear: Mapping[str, Tier] = field(default_factory=dict)

    @property
    def kinds(self) -> list[Kind]:
        """Those whose fields a request may choose; the endpoint's own comes last."""
        related = [KINDS[self.kind.relations[name].kind] for name in self.includes.split()]
        return [*related, self.kind] if self.shape != "ids" else []

    def takes(self, revision: date) -> set[str]:
        """Return the parameters that this revision of it knows."""
        by_name = {
            f"additional-fields[{self.kind.name}]": self.additional,
            "include": self.includes,
            "filter": self.filters,
            "sort": self.sorts,
            "page[cursor]": self.paging,
            "page[size]": self.paging and self.paging.since <= revision,
        }
        fields = {f"fields[{kind.name}]" for kind in self.kinds}
        return fields | {name for name, is_taken in by_name.items() if is_taken}


def one(kind: Kind, scopes: str, tier: Tier, **takes: Any) -> Endpoint:
    return Endpoint(f"{kind.name}s/{{id}}", kind, scopes, tier, "one", f"{kind.key} = $id", **takes)


MEMBERS: Final = Endpoint(
    "segments/{id}/profiles",
    MEMBER,
    "segments:read profiles:read",
    "L",
    rows="segment_id = $id",
    parent=SEGMENT,
    paging=Paging(20, 100),
    sorts={"joined_group_at": "position"},
    filters=MEMBER_FILTERS,
    additional=MEMBER.extra,
)
ENDPOINTS: Final = (
    Endpoint("accounts", ACCOUNT, "accounts:read", "XS"),
    Endpoint(
        "profiles",
        PROFILE,
        "profiles:read",
        "L",
        paging=Paging(20, 100),
        sorts={
            "created": "created",
            "updated": "position",
            "email": "coalesce(email, '')",
            "id": "profile_id",
            f"{EMAIL}suppression.timestamp": f"coalesce({SUPPRESSED_AT}, 'infinity')",
            f"{EMAIL}list_suppressions.timestamp": "position",
        },
        filters=PROFILE_FILTERS,
        includes="conversations push-tokens",
        additional=PROFILE.extra,
        dear={"predictive_analytics": "M"},
    ),
    one(
        PROFILE,
        "profiles:read",
        "L",
        includes="conversations lists push-tokens segments",
        additional=PROFILE.extra,
        dear={"lists": "XS", "segments": "XS"},
    ),
    Endpoint(
        "segments",
        SEGMENT,
        "segments:read",
        "L",
        paging=Paging(10, 10, since=date(2026, 4, 15)),
        sorts={"created": "created", "updated": "updated", "id": "segment_id", "name": "name"},
        filters=SEGMENT_FILTERS,
        includes="flow-triggers tags",
    ),
    one(
        SEGMENT,
        "segments:read",
        "L",
        includes="flow-triggers tags",
        additional=SEGMENT.extra,
        dear={"profile_count": "XS"},
    ),
    MEMBERS,
    replace(MEMBERS, path="segments/{id}/relationships/profiles", shape="ids", additional=frozenset[str]()),
    Endpoint(
        "metrics",
        METRIC,
        "metrics:read",
        "M",
        paging=Paging(200, 200, since=date.max),
        filters=METRIC_FILTERS,
        includes="flow-triggers",
    ),
    one(METRIC, "metrics:read", "M", includes="flow-triggers"),
    Endpoint(
        "events",
        EVENT,
        "events:read",
        "XL",
        paging=Paging(200, 1000, since=date(2026, 1, 15)),
        sorts={"datetime": "position", "timestamp": "position"},
        filters=EVENT_FILTERS,
        includes="attributions metric profile",
    ),
    one(EVENT, "events:read", "M", includes="attributions metric profile"),
)
SCOPES: Final = {
    KEY: {scope for endpoint in ENDPOINTS for scope in endpoint.scopes.split()},
    NARROW_KEY: {"accounts:read", "metrics:read", "segments:read"},
}


# --- how it is answered ---------------------------------------------------------------------------------


class Refusal(Exception):
    """A request answered with an error in the form of JSON:API; `parameter` is the one at fault."""

    def __init__(
        self, status: int, detail: str = "", parameter: str | None = None, code: str | None = None
    ) -> None:
        usual_code, title = ERRORS.get(status, ERRORS[500])
        super().__init__(detail or title)
        error = {
            "id": str(uuid.uuid4()),
            "status": status,
            "code": code or usual_code,
            "title": title,
            "detail": detail or title,
            "source": {"parameter": parameter} if parameter else {"pointer": "/data/"},
            "links": {},
            "meta": {},
        }
        self.response = Response(orjson.dumps({"errors": [error]}), status, HEADERS, MEDIA_TYPE)


class Cursor(NamedTuple):
    """A page starts after the row at position `after`; the page before it started after `before`."""

    before: int | None = None
    after: int | None = None

    def as_text(self, listing: str) -> str:
        places = ("" if place is None else str(place) for place in self)
        return urlsafe_b64encode("::".join(["next", listing, *places]).encode()).decode()

    @classmethod
    def parse(cls, text: str, listing: str) -> "Cursor":
        """Read a cursor; the official client sends the whole link over http, a leading `=` over https.

        Raises Refusal for one that was not given for this very listing.
        """
        if text.startswith("http"):
            text = parse_qs(urlsplit(text).query).get("page[cursor]", [""])[0]
        try:
            _, given_for, before, after = urlsafe_b64decode(text.lstrip("=")).decode().split("::")
            cursor = cls(*(int(place) if place else None for place in (before, after)))
        except ValueError:
            given_for = ""
        if given_for != listing:
            raise Refusal(400, "Invalid cursor provided.", "page[cursor]")
        return cursor


@dataclass(frozen=True)
class Query:
    """A request's parameters, found valid and put into SQL; `listing` tells one list from all others."""

    fields: Mapping[str, Fields]
    include: Sequence[str]
    conditions: Sequence[SQL]
    values: Mapping[str, Any]
    sort: SQL
    is_descending: bool
    size: int
    cursor: Cursor
    listing: str

    @property
    def order(self) -> SQL:
        direction = "desc" if self.is_descending else "asc"
        return ", ".join(f"{term} {direction}" for term in dict.fromkeys([self.sort, "position"]))


class Klaviyo:
    """The parts of Klaviyo that an analytics ingest reads, below /api."""

    name = "klaviyo"

    def __init__(self, world: World) -> None:
        self._world = world
        self._now = datetime.combine(world.as_of, datetime.min.time(), UTC)
        self._endpoints = [
            (Route(f"/api/{endpoint.path}{slash}", self._handler(endpoint), methods=["GET"]), endpoint)
            for endpoint in ENDPOINTS
            for slash in ("", "/")
        ]
        self.routes: Sequence[Route] = [route for route, _ in self._endpoints]

    def authorize(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Klaviyo-API-Key" or not key:
            detail = "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."
            return Refusal(401, detail, code="not_authenticated").response
        return None if key in SCOPES else Refusal(401).response

    def limits(self, request: Request) -> Sequence[Limit]:
        for route, endpoint in self._endpoints:
            if route.matches(request.scope)[0] == Match.FULL:
                names = ("include", f"additional-fields[{endpoint.kind.name}]")
                asked = {value for name in names for value in values_of(request, name)}
                dear = next((value for value in endpoint.dear if value in asked), "")
                burst, steady = TIERS[endpoint.dear.get(dear, endpoint.tier)]
                bucket = f"{endpoint.path} {dear}"
                return [Limit(bucket, burst, 1), Limit(bucket, steady, 60)]
        return []

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:
        if not standing:
            return {}
        tightest = min(standing, key=lambda window: window.remaining)
        policy = [f"{limit.count};w={limit.seconds}" for limit, _, _ in standing]
        return {
            "RateLimit-Limit": ", ".join([str(tightest.limit.count), *policy]),
            "RateLimit-Remaining": str(tightest.remaining),
            "RateLimit-Reset": str(seconds_until(tightest.reset)),
        }

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        if status in GATEWAY_ERRORS:
            page = f"<html><body><h1>{status} {GATEWAY_ERRORS[status]}</h1></body></html>"
            return HTMLResponse(page, status, HEADERS)
        if status != 429:
            return Refusal(status).response
        # A window that ends within the second has 0 seconds left: who waits must wait it out.
        wait = 1 + max((seconds_until(reset) for _, remaining, reset in standing if not remaining), default=0)
        detail = f"Request was throttled. Expected available in {wait} second{'s' if wait > 1 else ''}."
        response = Refusal(429, detail).response
        response.headers["Retry-After"] = str(wait)
        return response

    def _handler(self, endpoint: Endpoint) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            revision = None
            try:
                revision = revision_of(request, max(self._world.as_of, CONTRACT_DATE))
                require_scopes(request, endpoint)
                document = self._document(endpoint, request, self._query(endpoint, request, revision))
                response = Response(document, 200, HEADERS, MEDIA_TYPE)
            except Refusal as refusal:
                response = refusal.response
            if revision:
                response.headers["X-Klaviyo-API-Revision"] = revision.isoformat()
            return response

        return answer

    def _query(self, endpoint: Endpoint, request: Request, revision: date) -> Query:
        """Check all parameters. Raises Refusal for the first that this endpoint and revision do not take."""
        params = request.query_params
        for name in sorted(params.keys() - endpoint.takes(revision)):
            raise Refusal(400, f"'{name}' is not a parameter of this endpoint and revision.", name)
        additional = chosen(request, f"additional-fields[{endpoint.kind.name}]", endpoint.additional)
        include = chosen(request, "include", endpoint.includes.split())
        sort = params.get("sort", "")
        if sort and sort.removeprefix("-") not in endpoint.sorts:
            raise Refusal(400, f"'{sort}' is not a valid sort value.", "sort")
        usual, most, _ = endpoint.paging or Paging(1, 1)
        size = params.get("page[size]", str(usual))
        if not size.isdecimal() or not 1 <= int(size) <= most:
            raise Refusal(400, f"Page size must be an integer from 1 to {most}.", "page[size]")
        filter_text = params.get("filter", "")
        conditions, values = self._conditions(endpoint.filters, filter_text)
        world = self._world
        listed = (world.people, world.seed, world.as_of, request.url.path.rstrip("/"), sort, filter_text)
        listing = sha256(repr(listed).encode()).hexdigest()[:12]
        return Query(
            fields={
                kind.name: fields_of(kind, request, endpoint.additional, additional)
                for kind in endpoint.kinds
            },
            include=sorted(include),
            conditions=[endpoint.rows, *conditions],
            values={**values, **request.path_params, "base": base_of(request)},
            sort=endpoint.sorts[sort.removeprefix("-")] if sort else "position",
            is_descending=sort.startswith("-"),
            size=int(size),
            cursor=Cursor.parse(params["page[cursor]"], listing) if "page[cursor]" in params else Cursor(),
            listing=listing,
        )

    def _conditions(self, filters: Mapping[str, Filter], text: str) -> tuple[list[SQL], dict[str, Any]]:
        """Return a filter as SQL, with the values of its parameters. Raises Refusal."""
        conditions: list[SQL] = []
        values: dict[str, Any] = {}
        for number, (operator, field_name, operand) in enumerate(conditions_of(text)):
            known = filters.get(field_name)
            if known is None or operator not in known.operators.split():
                raise bad_filter(f"'{operator}' is not allowed on '{field_name}'")
            value = value_of(operator, operand, known.form)
            is_lower_bound = isinstance(value, datetime) and operator.startswith("greater")
            if is_lower_bound and value > self._now - SETTLED:
                raise bad_filter(f"'{field_name}' must start in the past")
            if known.known and self._rows(
                f"select 1 from (select unnest($ids) as id) where id not in ({known.known})", {"ids": value}
            ):
                raise bad_filter(f"'{field_name}' names what does not exist")
            conditions.append(COMPARISONS[operator].format(known.sql, f"$value_{number}"))
            values[f"value_{number}"] = value
        return conditions, values

    def _document(self, endpoint: Endpoint, request: Request, query: Query) -> str:
        parent = endpoint.parent
        if parent and not self._rows(f"select 1 from {parent.source} where {parent.key} = $id", query.values):
            raise Refusal(404, f"There is no {parent.name} with this id.")
        fault = getattr(request.state, "page_fault", None)
        start = query.cursor.before if fault == "repeat" else query.cursor.after
        positions = [] if fault == "empty" else self._positions(endpoint, query, start)
        page = positions[: query.size]
        rows, included = self._resources(endpoint, query, page)
        links = {"self": str(request.url)}
        if endpoint.shape == "one":
            if not rows:
                raise Refusal(404, f"There is no {endpoint.kind.name} with this id.")
            return json_text(rows[0], links, included)
        following = None
        if len(positions) > len(page) or fault == "empty":
            cursor = Cursor(start, page[-1] if page else start).as_text(query.listing)
            following = str(
                request.url.replace(query=urlencode({**request.query_params, "page[cursor]": cursor}))
            )
        return json_text(f"[{','.join(rows)}]", {**links, "next": following, "prev": None}, included)

    def _positions(self, endpoint: Endpoint, query: Query, start: int | None) -> list[int]:
        """Return the positions of a page's rows in their order, and of one more when there are more."""
        source = endpoint.kind.source
        conditions = list(query.conditions)
        if start is not None:
            beyond = "<" if query.is_descending else ">"
            last = f"select {query.sort} from {source} where {endpoint.rows} and position = $start"
            conditions.append(
                f"position {beyond} $start"
                if query.sort == "position"
                else f"({query.sort}, position) {beyond} (({last}), $start)"
            )
        found = self._rows(
            f"""
            select position from {source}
            where {" and ".join(conditions)} order by {query.order} limit {query.size + 1}
            """,
            {**query.values, "start": start},
        )
        return [position for (position,) in found]

    def _resources(
        self, endpoint: Endpoint, query: Query, positions: Sequence[int]
    ) -> tuple[list[str], list[str] | None]:
        """Return the rows at `positions` as JSON, and what is included with them (None: nothing asked)."""
        kind = endpoint.kind
        relations = [kind.relations[name] for name in query.include]
        row = resource(kind, query) if endpoint.shape != "ids" else linkage(kind.name, kind.key)
        found = self._rows(
            f"""
            select {", ".join([f"to_json({row})", *(relation.ids or "[]" for relation in relations)])}
            from {kind.source} as entry
            where {endpoint.rows} and position in (select unnest($positions)) order by {query.order}
            """,
            {**query.values, "positions": positions},
        )
        included: list[str] = []
        for place, relation in enumerate(relations, start=1):
            target = KINDS[relation.kind]
            if ids := {id_ for row in found for id_ in row[place]}:
                texts = self._rows(
                    f"""
                    select to_json({resource(target, replace(query, include=()))})
                    from {target.source} as entry
                    where {target.key} in (select unnest($ids)) order by position
                    """,
                    {**query.values, "ids": list(ids)},
                )
                included += [text for (text,) in texts]
        return [row[0] for row in found], included if query.include else None

    def _rows(self, sql: SQL, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        used = {name: values[name] for name in re.findall(r"\$(\w+)", sql)}
        return self._world.cursor().execute(sql, used).fetchall()


# --- how a request is read ------------------------------------------------------------------------------


def revision_of(request: Request, today: date) -> date:
    """Return the revision that answers, by the vendor's rules for `today`. Raises Refusal."""
    text = request.headers.get("revision")
    if text is None:
        raise Refusal(400, "The header 'revision' is required.")
    try:
        asked = date.fromisoformat(text.removesuffix(".pre"))
    except ValueError:
        raise Refusal(400, "The header 'revision' must be a date, YYYY-MM-DD.") from None
    if asked > today:
        raise Refusal(400, f"Revision {asked} lies in the future.")
    years = range(OLDEST_REVISION.year, today.year + 1)
    quarters = [date(year, month, 15) for year in years for month in (1, 4, 7, 10)]
    released = [quarter for quarter in quarters if OLDEST_REVISION <= quarter <= today]
    oldest = next(one for one in released if one.replace(year=one.year + REVISION_YEARS) > today)
    revision = max((one for one in released if one <= asked), default=OLDEST_REVISION)
    if revision < oldest and request.headers.get("X-Klaviyo-Revision-Fall-Forward-Opt-Out") == "1":
        raise Refusal(410, f"Revision {asked} is retired; the oldest that answers is {oldest}.")
    return max(revision, oldest)


def require_scopes(request: Request, endpoint: Endpoint) -> None:
    """Raises Refusal, which names what the key lacks."""
    key = request.headers["authorization"].partition(" ")[2]
    if lacking := set(endpoint.scopes.split()) - SCOPES[key]:
        raise Refusal(403, f"The key lacks the scope {', '.join(sorted(lacking))}.")


def values_of(request: Request, name: str) -> list[str]:
    return [value for value in request.query_params.get(name, "").split(",") if value]


def chosen(request: Request, name: str, allowed: Iterable[str]) -> frozenset[str]:
    """Return the values of a parameter, which commas join. Raises Refusal for one that is not allowed."""
    values = frozenset(values_of(request, name))
    for value in sorted(values.difference(allowed)):
        raise Refusal(400, f"'{value}' is not a valid value of '{name}'.", name)
    return values


def fields_of(kind: Kind, request: Request, offered: frozenset[str], asked: frozenset[str]) -> Fields:
    """Return the attributes to serve: what `fields` chooses, of the extra ones only those `asked` for."""
    parameter = f"fields[{kind.name}]"
    above = {
        path: list(accumulate(path.split("."), "{}.{}".format))  # location, location.city
        for path in kind.fields
    }
    known = {
        "id",
        *(name for names in above.values() for name in names if names[0] not in kind.extra - offered),
    }
    wanted = chosen(request, parameter, known)
    is_sparse = parameter in request.query_params
    return {
        path: kind.fields[path]
        for path, names in above.items()
        if names[0] not in kind.extra - asked and (not is_sparse or wanted.intersection(names))
    }


QUOTED: Final = r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """
OPERAND: Final = rf"(?:{QUOTED}|[^\s,()\[\]\"']+)"
CONDITION: Final = re.compile(
    rf"""
    \s* (?P<operator>[a-z-]+) \( \s* (?P<field>[\w.]+) \s*
    (?: , \s* (?P<operand> {OPERAND} | \[ \s* {OPERAND} (?: \s*,\s* {OPERAND} )* \s* \] ) \s* )? \) \s*
    (?: , (?=.) | $ )
    """,
    re.VERBOSE,
)


def bad_filter(reason: str) -> Refusal:
    return Refusal(400, f"Invalid filter provided: {reason}.", "filter")


def conditions_of(text: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield operator, field and operand of `op(field,operand),…`, also inside `and(…)`. Raises Refusal."""
    whole = re.fullmatch(r"\s*and\((.*)\)\s*", text)
    text, at = whole[1] if whole else text, 0
    while at < len(text):
        condition = CONDITION.match(text, at)
        if condition is None:
            raise bad_filter(f"not understood from character {at + 1} on")
        yield condition["operator"], condition["field"], condition["operand"]
        at = condition.end()


def value_of(operator: str, operand: str | None, form: str) -> Any:
    """Return an operand as Python has it; always a list for the operators of lists. Raises Refusal."""
    if (operand is None) != (form == "none"):
        raise bad_filter(f"'{operator}' takes {'no' if form == 'none' else 'a'} value")
    if operand is None:
        return None
    is_list = operand.startswith("[")
    if is_list != (operator == "any") and not (is_list and operator == "equals"):
        raise bad_filter(f"'{operator}' takes {'a' if operator == 'any' else 'no'} list")
    try:
        values = [READERS[form](item) for item in re.findall(OPERAND, operand, re.VERBOSE)]
    except (ValueError, OverflowError):
        raise bad_filter(f"a value is not a {form}, quoted if it is a string and only then") from None
    return values if operator in ("any", "equals") else values[0]


def read_string(text: str) -> str:
    if text[0] not in "\"'":
        raise ValueError("not quoted")
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def read_datetime(text: str) -> datetime:
    """To the second, which is as fine as the vendor compares."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)


READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": read_string,
    "datetime": read_datetime,
    "timestamp": lambda text: datetime.fromtimestamp(int(float(text)), UTC),
    "boolean": lambda text: bool(["false", "true"].index(text)),
}


def base_of(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}/api"


def seconds_until(moment: float) -> int:
    return max(0, math.floor(moment - datetime.now(UTC).timestamp()))


# --- how an answer is written ---------------------------------------------------------------------------


def json_text(data: str, links: Mapping[str, str | None], included: list[str] | None) -> str:
    more = "" if included is None else f',"included":[{",".join(included)}]'
    return f'{{"data":{data},"links":{orjson.dumps(links).decode()}{more}}}'


def resource(kind: Kind, query: Query) -> SQL:
    """A row of the kind's source as a struct that reads as a JSON:API resource."""
    own = f"$base || '/{kind.name}s/' || {kind.key} || '/"
    relations = ", ".join(
        f"""'{name}': {{
            {f"'data': {data_of(relation)}," if name in query.include else ""}
            'links': {{'self': {own}relationships/{name}/', 'related': {own}{name}/'}}
        }}"""
        for name, relation in kind.relations.items()
    )
    return f"""{{
        'type': '{kind.name}',
        'id': {kind.key},
        'attributes': {struct(query.fields[kind.name])},
        {f"'relationships': {{{relations}}}," if relations else ""}
        'links': {{'self': {own}'}}
    }}"""


def data_of(relation: Relation) -> SQL:
    ids = relation.ids or "[]"
    if relation.is_many:
        return f"list_transform({ids}, lambda id: {linkage(relation.kind, 'id')})"
    return linkage(relation.kind, f"({ids})[1]")


def linkage(kind: str, id_: SQL) -> SQL:
    return f"{{'type': '{kind}', 'id': {id_}}}"


def struct(fields: Fields) -> SQL:
    """Nest fields by the dots of their names; an object in which nothing ever has a value is null."""
    if not fields:
        return "'{}'::json"
    nested: dict[str, dict[str, SQL | None]] = {}
    for name, sql in fields.items():
        outer, _, inner = name.partition(".")
        nested.setdefault(outer, {})[inner] = sql
    members = [
        f"'{outer}': {members.get('') or (struct(members) if any(members.values()) else 'null')}"
        for outer, members in nested.items()
    ]
    return f"{{{', '.join(members)}}}"
