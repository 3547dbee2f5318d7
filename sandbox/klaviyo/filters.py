"""How each field of Klaviyo may be filtered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sandbox.klaviyo.kinds import CATALOG_CATEGORY, CATALOG_ITEM, CATALOG_VARIANT, EMAIL, SQL, SUPPRESSED


@dataclass(frozen=True)
class Filter:
    """How a field may be filtered: operators, SQL, the form of its values, and the allowed values.

    `compared` replaces the operator's own comparison, where the SQL gives a list. `is_required`: a list
    without this filter is refused. `otherwise` applies if the filter is not used.
    """

    operators: str
    sql: SQL
    form: Literal["string", "datetime", "timestamp", "boolean", "none"] = "string"
    known: SQL | None = None
    compared: SQL | None = None
    is_required: bool = False
    otherwise: SQL = "true"


COMPARISONS: Final = {
    "any": "{} in (select unnest({}))",
    "equals": "{} in (select unnest({}))",
    "greater-than": "{} > {}",
    "greater-or-equal": "{} >= {}",
    "less-than": "{} < {}",
    "less-or-equal": "{} <= {}",
    "has": "{} is not null",
    "contains": "contains({}, {})",
    "starts-with": "starts_with({}, {})",
    "ends-with": "ends_with({}, {})",
}
ONE_OF: Final = "any equals"
COMPARED: Final = "greater-or-equal greater-than less-or-equal less-than"
SUPPRESSED_AT: Final = f"if({SUPPRESSED}, created, null)"
LEFT_LIST_AT: Final = "if(left_list_id is null, null, created)"

PROFILE_FILTERS: Final = {
    "id": Filter(ONE_OF, "profile_id"),
    "email": Filter(ONE_OF, "email"),
    "phone_number": Filter(ONE_OF, "phone_number"),
    "external_id": Filter(ONE_OF, "external_id"),
    "_kx": Filter("equals", "null::varchar"),
    "created": Filter("greater-than less-than", "created", "datetime"),
    "updated": Filter("greater-than less-than", "updated", "datetime"),
    f"{EMAIL}suppression.reason": Filter("equals", "suppression_reason"),
    f"{EMAIL}suppression.timestamp": Filter(COMPARED, SUPPRESSED_AT, "datetime"),
    f"{EMAIL}list_suppressions.reason": Filter("equals", "if(left_list_id is null, null, 'UNSUBSCRIBE')"),
    f"{EMAIL}list_suppressions.timestamp": Filter(COMPARED, LEFT_LIST_AT, "datetime"),
    f"{EMAIL}list_suppressions.list_id": Filter("equals", "left_list_id"),
}
MEMBER_FILTERS: Final = {
    "profile_id": Filter(ONE_OF, "profile_id"),
    "email": Filter(ONE_OF, "email"),
    "phone_number": Filter(ONE_OF, "phone_number"),
    "push_token": Filter(ONE_OF, "null::varchar"),
    "_kx": Filter("equals", "null::varchar"),
    "joined_group_at": Filter(COMPARED, "joined_group_at", "datetime"),
}
HOLDS_ONE_OF: Final = "list_has_any({}, {})"
PUBLISHED: Final = {
    "title": Filter("contains", "title"),
    "published": Filter("equals", "published", "boolean"),
}
CATALOG_FILTERS: Final[Mapping[str, Mapping[str, Filter]]] = {
    CATALOG_ITEM.name: {
        "ids": Filter("any", "catalog_item_id"),
        "category.id": Filter("equals", "category_ids", compared=HOLDS_ONE_OF),
        **PUBLISHED,
    },
    CATALOG_VARIANT.name: {
        "ids": Filter("any", "catalog_variant_id"),
        "item.id": Filter("equals", "catalog_item_id"),
        "sku": Filter("equals", "sku"),
        **PUBLISHED,
    },
    CATALOG_CATEGORY.name: {
        "ids": Filter("any", "catalog_category_id"),
        "item.id": Filter("equals", "item_ids", compared=HOLDS_ONE_OF),
        "name": Filter("contains", "name"),
    },
}
SEGMENT_FILTERS: Final = {
    "name": Filter(ONE_OF, "name"),
    "id": Filter(ONE_OF, "segment_id"),
    "created": Filter("greater-than", "created", "datetime"),
    "updated": Filter("greater-than", "updated", "datetime"),
    "is_active": Filter(ONE_OF, "is_active", "boolean"),
    "is_starred": Filter("equals", "is_starred", "boolean"),
}
LIST_FILTERS: Final = {
    "name": Filter(ONE_OF, "name"),
    "id": Filter(ONE_OF, "list_id"),
    "created": Filter("greater-than", "created", "datetime"),
    "updated": Filter("greater-than", "updated", "datetime"),
}
STATUSES: Final = """
    select unnest([
        'Scheduled', 'Sent', 'Draft', 'Cancelled', 'Adding Recipients', 'Sending', 'Variations Sent',
        'Sending Segments', 'Cancelled: Smart Sending', 'Preparing to send', 'Cancelled: Account Disabled',
        'Cancelled: No Recipients', 'Preparing to schedule', 'Cancelled: Internal Error',
        'Queued without Recipients', 'Cancelled: Billing Limit', 'Cancelled: Misconfigured', 'Unknown'
    ])
"""
CAMPAIGN_FILTERS: Final = {
    "messages.channel": Filter(
        "equals", "channel", known="select unnest(['email', 'sms', 'mobile_push'])", is_required=True
    ),
    "id": Filter("any", "campaign_id"),
    "name": Filter("contains", "name"),
    "status": Filter(ONE_OF, "status", known=STATUSES),
    # Reports differ on whether archived objects are listed by default: a client that relies on it loses rows
    # here.
    "archived": Filter("equals", "archived", "boolean", otherwise="not archived"),
    "created_at": Filter(COMPARED, "created_at", "datetime"),
    "scheduled_at": Filter(COMPARED, "scheduled_at", "datetime"),
    "updated_at": Filter(COMPARED, "updated_at", "datetime"),
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
TEXT: Final = "contains ends-with equals starts-with"
MOVED_FILTERS: Final[Mapping[str, Filter]] = {
    moment: Filter(f"equals {COMPARED}", moment, "datetime") for moment in ("created", "updated")
}
FLOW_FILTERS: Final = {
    "id": Filter("any", "flow_id"),
    "name": Filter(TEXT, "name"),
    "status": Filter("equals", "status"),
    "archived": Filter("equals", "archived", "boolean"),
    "trigger_type": Filter("equals", "trigger_type"),
    **MOVED_FILTERS,
}
TEMPLATE_FILTERS: Final = {
    "id": Filter(ONE_OF, "template_id"),
    "name": Filter(f"{ONE_OF} contains", "name"),
    **MOVED_FILTERS,
}
FLOW_ACTION_FILTERS: Final = {
    "id": Filter("any", "flow_action_id"),
    "action_type": Filter(ONE_OF, "action_type"),
    "status": Filter("equals", "status"),
    **MOVED_FILTERS,
}
FLOW_MESSAGE_FILTERS: Final = {
    "id": Filter("any", "flow_message_id"),
    "name": Filter(TEXT, "name"),
    **MOVED_FILTERS,
}
