"""What each path of Klaviyo accepts and serves: fields, filters, sizes, scopes and limits.

A new collection is a new Kind (kinds.py), its filters (filters.py) and rows in ENDPOINTS; api.py serves
whatever is listed here. All are those of the official description of revision 2026-07-15.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal, NamedTuple

from sandbox.klaviyo.filters import (
    CAMPAIGN_FILTERS,
    CATALOG_FILTERS,
    EVENT_FILTERS,
    FLOW_ACTION_FILTERS,
    FLOW_FILTERS,
    FLOW_MESSAGE_FILTERS,
    LEFT_LIST_AT,
    LIST_FILTERS,
    MEMBER_FILTERS,
    METRIC_FILTERS,
    PROFILE_FILTERS,
    SEGMENT_FILTERS,
    SUPPRESSED_AT,
    TEMPLATE_FILTERS,
    Filter,
)
from sandbox.klaviyo.kinds import (
    ACCOUNT,
    CAMPAIGN,
    CAMPAIGN_MESSAGE,
    CATALOG_CATEGORY,
    CATALOG_ITEM,
    CATALOG_VARIANT,
    EMAIL,
    EVENT,
    FLOW,
    FLOW_ACTION,
    FLOW_MESSAGE,
    KINDS,
    LIST,
    LIST_MEMBER,
    MAPPED_METRIC,
    MEMBER,
    METRIC,
    PROFILE,
    SEGMENT,
    SQL,
    TEMPLATE,
    Kind,
)

Tier = Literal["XS", "S", "M", "L", "XL"]
TIERS: Final[Mapping[Tier, tuple[int, int]]] = {  # requests per second, requests per minute
    "XS": (1, 15),
    "S": (3, 60),
    "M": (10, 150),
    "L": (75, 750),
    "XL": (350, 3500),
}


class Paging(NamedTuple):
    """Rows of a page by default and at most, and the revision that introduced `page[size]`."""

    usual: int
    most: int
    since: date = date.min


@dataclass(frozen=True)
class Endpoint:
    """What one path accepts and serves; names are separated by blanks.

    `rows` selects its rows by the `$id` of the path, which names one of `parent`. `sorts` gives the SQL of
    each sort value: `position` if rows are stored in that order. `dear` names the additional fields and the
    includes that bring a lower tier. The shape `ids` is a list of types and ids alone.
    """

    path: str
    kind: Kind
    tier: Tier
    scopes: str
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
        """The kinds whose fields a request may choose; the endpoint's own comes last."""
        related = [KINDS[self.kind.relations[name].kind] for name in self.includes.split()]
        return [*related, self.kind] if self.shape != "ids" else []

    def takes(self, revision: date) -> set[str]:
        """Return the parameters that this revision of it accepts."""
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


def every(kind: Kind, tier: Tier, **takes: Any) -> Endpoint:
    return Endpoint(kind.path, kind, tier, f"{kind.path}:read", **takes)


def one(kind: Kind, tier: Tier, **takes: Any) -> Endpoint:
    path, rows = f"{kind.path}/{{id}}", f"{kind.key} = $id"
    return Endpoint(path, kind, tier, f"{kind.path}:read", shape="one", rows=rows, **takes)


def in_catalog(path: str, kind: Kind, *, parent: Kind | None = None, **takes: Any) -> Endpoint:
    """Return SQL for all of the catalog, or the part related to the `parent` in the path."""
    return Endpoint(
        path,
        kind,
        "XL",
        "catalogs:read",
        parent=parent,
        paging=Paging(100, 100, since=date(2026, 4, 15)),
        sorts={"created": "position"},
        filters=CATALOG_FILTERS[kind.name],
        **takes,
    )


CATALOG_ENDPOINTS: Final = (
    in_catalog("catalog-items", CATALOG_ITEM, includes="variants"),
    Endpoint(
        "catalog-items/{id}",
        CATALOG_ITEM,
        "XL",
        "catalogs:read",
        shape="one",
        rows="catalog_item_id = $id",
        includes="variants",
    ),
    in_catalog(
        "catalog-items/{id}/variants", CATALOG_VARIANT, parent=CATALOG_ITEM, rows="catalog_item_id = $id"
    ),
    in_catalog("catalog-variants", CATALOG_VARIANT),
    in_catalog("catalog-categories", CATALOG_CATEGORY),
    in_catalog(
        "catalog-categories/{id}/items",
        CATALOG_ITEM,
        parent=CATALOG_CATEGORY,
        rows="list_contains(category_ids, $id)",
        includes="variants",
    ),
    in_catalog(
        "catalog-categories/{id}/relationships/items",
        CATALOG_ITEM,
        parent=CATALOG_CATEGORY,
        rows="list_contains(category_ids, $id)",
        shape="ids",
    ),
)
MEMBERS: Final = Endpoint(
    "segments/{id}/profiles",
    MEMBER,
    "L",
    "segments:read profiles:read",
    rows="segment_id = $id",
    parent=SEGMENT,
    paging=Paging(20, 100),
    sorts={"joined_group_at": "position"},
    filters=MEMBER_FILTERS,
    additional=MEMBER.extra,
)
LIST_MEMBERS: Final = replace(
    MEMBERS,
    path="lists/{id}/profiles",
    kind=LIST_MEMBER,
    scopes="lists:read profiles:read",
    rows="list_id = $id",
    parent=LIST,
    filters={name: known for name, known in MEMBER_FILTERS.items() if name != "profile_id"},
    dear={"predictive_analytics": "M"},
)
MESSAGES: Final = Endpoint(
    "campaigns/{id}/campaign-messages",
    CAMPAIGN_MESSAGE,
    "M",
    "campaigns:read",
    rows="campaign_id = $id",
    parent=CAMPAIGN,
    includes="campaign image template",
)
ENDPOINTS: Final = (
    *CATALOG_ENDPOINTS,
    every(ACCOUNT, "XS"),
    every(
        PROFILE,
        "L",
        paging=Paging(20, 100),
        sorts={
            "created": "created",
            "updated": "position",
            "email": "coalesce(email, '')",
            "id": "profile_id",
            f"{EMAIL}suppression.timestamp": f"coalesce({SUPPRESSED_AT}, 'infinity')",
            f"{EMAIL}list_suppressions.timestamp": f"coalesce({LEFT_LIST_AT}, 'infinity')",
        },
        filters=PROFILE_FILTERS,
        includes="conversations push-tokens",
        additional=PROFILE.extra,
        dear={"predictive_analytics": "M"},
    ),
    one(
        PROFILE,
        "L",
        includes="conversations lists push-tokens segments",
        additional=PROFILE.extra,
        dear={"lists": "XS", "segments": "XS"},
    ),
    every(
        SEGMENT,
        "L",
        paging=Paging(10, 10, since=date(2026, 4, 15)),
        sorts={"created": "created", "updated": "updated", "id": "segment_id", "name": "name"},
        filters=SEGMENT_FILTERS,
        includes="flow-triggers tags",
    ),
    one(
        SEGMENT,
        "L",
        includes="flow-triggers tags",
        additional=SEGMENT.extra,
        dear={"profile_count": "XS"},
    ),
    MEMBERS,
    replace(MEMBERS, path="segments/{id}/relationships/profiles", shape="ids", additional=frozenset[str]()),
    every(
        METRIC,
        "M",
        paging=Paging(200, 200, since=date.max),
        filters=METRIC_FILTERS,
        includes="flow-triggers",
    ),
    one(METRIC, "M", includes="flow-triggers"),
    Endpoint("mapped-metrics", MAPPED_METRIC, "S", "metrics:read", includes="custom-metric metric"),
    Endpoint(
        "mapped-metrics/{id}",
        MAPPED_METRIC,
        "S",
        "metrics:read",
        shape="one",
        rows="mapped_metric_id = $id",
        includes="custom-metric metric",
    ),
    every(
        EVENT,
        "XL",
        paging=Paging(200, 1000, since=date(2026, 1, 15)),
        sorts={"datetime": "position", "timestamp": "position"},
        filters=EVENT_FILTERS,
        includes="attributions metric profile",
    ),
    one(EVENT, "M", includes="attributions metric profile"),
    every(
        FLOW,
        "S",
        paging=Paging(50, 50),
        sorts={
            "created": "created",
            "updated": "updated",
            "id": "flow_id",
            "name": "name",
            "status": "status",
            "trigger_type": "trigger_type",
        },
        filters=FLOW_FILTERS,
        includes="flow-actions tags",
    ),
    Endpoint(
        "flows/{id}/flow-actions",
        FLOW_ACTION,
        "S",
        "flows:read",
        rows="flow_id = $id",
        parent=FLOW,
        paging=Paging(50, 50),
        sorts={
            "action_type": "action_type",
            "created": "created",
            "id": "flow_action_id",
            "status": "status",
            "updated": "updated",
        },
        filters=FLOW_ACTION_FILTERS,
    ),
    Endpoint(
        "flow-actions/{id}/flow-messages",
        FLOW_MESSAGE,
        "S",
        "flows:read",
        rows="flow_action_id = $id",
        parent=FLOW_ACTION,
        paging=Paging(50, 50),
        sorts={"created": "created", "id": "flow_message_id", "name": "name", "updated": "updated"},
        filters=FLOW_MESSAGE_FILTERS,
    ),
    Endpoint(
        "flow-messages/{id}/template",
        TEMPLATE,
        "S",
        "templates:read",
        shape="one",
        rows="flow_message_id = $id",
    ),
    every(
        TEMPLATE,
        "L",
        paging=Paging(10, 10, since=date(2026, 4, 15)),
        sorts={"created": "created", "updated": "updated", "id": "template_id", "name": "name"},
        filters=TEMPLATE_FILTERS,
        additional=TEMPLATE.extra,
    ),
    every(
        LIST,
        "L",
        paging=Paging(10, 10, since=date(2026, 4, 15)),
        sorts={"created": "created", "updated": "updated", "id": "list_id", "name": "name"},
        filters=LIST_FILTERS,
        includes="flow-triggers tags",
    ),
    one(
        LIST,
        "L",
        includes="flow-triggers tags",
        additional=LIST.extra,
        dear={"profile_count": "XS"},
    ),
    LIST_MEMBERS,
    replace(
        LIST_MEMBERS,
        path="lists/{id}/relationships/profiles",
        shape="ids",
        additional=frozenset[str](),
        dear={},
    ),
    every(
        CAMPAIGN,
        "M",
        paging=Paging(100, 100, since=date(2026, 4, 15)),
        sorts={
            "created_at": "created_at",
            "scheduled_at": "coalesce(scheduled_at, 'infinity')",
            "updated_at": "updated_at",
            "id": "campaign_id",
            "name": "name",
        },
        filters=CAMPAIGN_FILTERS,
        includes="campaign-messages tags",
    ),
    one(CAMPAIGN, "M", includes="campaign-messages tags"),
    MESSAGES,
    replace(
        MESSAGES, path="campaign-messages/{id}", shape="one", rows="campaign_message_id = $id", parent=None
    ),
)
