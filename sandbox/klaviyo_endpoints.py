"""What Klaviyo has and what each path of it takes: kinds of resources, fields, filters, endpoints.

A new collection is a new Kind and rows in ENDPOINTS; klaviyo.py serves whatever stands here. Names,
operators, sizes, scopes and limits are those of the official description of revision 2026-07-15.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal, NamedTuple

ACCOUNT_ID: Final = "SANDBX"

Tier = Literal["XS", "S", "M", "L", "XL"]
TIERS: Final[Mapping[Tier, tuple[int, int]]] = {  # requests a second, requests a minute
    "XS": (1, 15),
    "S": (3, 60),
    "M": (10, 150),
    "L": (75, 750),
    "XL": (350, 3500),
}

SQL = str  # an expression over one row of a source; or a source, which has a column `position`
Fields = Mapping[str, SQL | None]


# --- what there is --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relation:
    """A kind that a resource points to, and the ids as a list; None where this account has no such things."""

    kind: str
    ids: SQL | None = None
    is_many: bool = True

    @property
    def has_data(self) -> bool:
        """Whether a resource can say what it points to: nothing at all is an empty list or no member."""
        return self.is_many or self.ids is not None


@dataclass(frozen=True)
class Kind:
    """A type of resource.

    `fields` gives each attribute, dots for nested ones, as SQL; None where this account never has a value.
    `extra` are the outermost fields that are served only when `additional-fields` asks for them. Of a field
    in `whole`, a request may name any part: it is served as a whole. `linkages` gives the relations as JSON
    where they differ from row to row and are told without being asked for.
    """

    name: str
    fields: Fields
    source: SQL = ""
    relations: Mapping[str, Relation] = field(default_factory=dict)
    extra: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    linkages: SQL = ""

    @property
    def key(self) -> str:
        """The column of its id."""
        return f"{self.name.replace('-', '_')}_id"

    @property
    def path(self) -> str:
        return f"{self.name.removesuffix('y')}ies" if self.name.endswith("y") else f"{self.name}s"


def each(names: str, sql: SQL | None = "{}", below: str = "") -> Fields:
    """Give every name the same SQL, in which `{}` stands for the name."""
    return {f"{below}{name}": sql.format(name) if sql else None for name in names.split()}


TIME: Final = "strftime({} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S+00:00')"
CREATED: Final = TIME.format("created")
CONSENTED: Final = f"if({{}} = 'NEVER_SUBSCRIBED', null, {CREATED})"
SUPPRESSED: Final = "is_suppressed"
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
        "preferred_currency": "account_currency()",
        "public_api_key": "account_id",
        "locale": "'en-US'",
    },
    source=f"(select 0 as position, '{ACCOUNT_ID}' as account_id)",
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
        f"{EMAIL}can_receive_email_marketing": "can_receive_email",
        **each("consent_timestamp last_updated", CONSENTED.format("email_consent"), EMAIL),
        **each("method method_detail custom_method_detail double_optin", None, EMAIL),
        f"{EMAIL}suppression": f"""
        if({SUPPRESSED}, [{{'reason': suppression_reason, 'timestamp': {CREATED}}}], [])
        """,
        f"{EMAIL}list_suppressions": f"""
        if(left_list_id is null, [],
           [{{'list_id': left_list_id, 'reason': 'UNSUBSCRIBE', 'timestamp': {CREATED}}}])
        """,
        **each(OPT_IN, None, "subscriptions.email.open_tracking."),
        f"{SMS}consent": "sms_consent",
        f"{SMS}can_receive_sms_marketing": "can_receive_sms",
        **each("consent_timestamp last_updated", CONSENTED.format("sms_consent"), SMS),
        **each("method method_detail", None, SMS),
        **each(
            "can_receive_sms_transactional method method_detail", None, "subscriptions.sms.transactional."
        ),
        **each("consent consent_timestamp last_updated", None, "subscriptions.sms.transactional."),
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
    relations={
        "lists": Relation(
            "list",
            """
            (
                select coalesce(list(list_id order by list_id), [])
                from klaviyo_list_members as member
                where member.profile_id = entry.profile_id
            )
            """,
        ),
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
    relations={"profiles": Relation("profile"), "tags": Relation("tag"), "flow-triggers": Relation("flow")},
    extra=frozenset({"profile_count"}),
)
PICTURED: Final = {**each("url"), **each("image_full_url image_thumbnail_url", None), "images": "[]"}
CATALOG_VARIANT: Final = Kind(
    "catalog-variant",
    {
        **each("external_id title sku inventory_policy inventory_quantity price published"),
        "description": None,
        "custom_metadata": "'{}'::json",
        **PICTURED,
        **each("created updated", TIME),
    },
    source="klaviyo_catalog_variants",
    relations={"item": Relation("catalog-item", "[catalog_item_id]", is_many=False)},
)
CATALOG_ITEM: Final = Kind(
    "catalog-item",
    {
        **each("external_id title description price published"),
        "custom_metadata": "'{}'::json",
        **PICTURED,
        **each("created updated", TIME),
    },
    source="klaviyo_catalog_items",
    relations={
        "variants": Relation(
            "catalog-variant",
            """
            (
                select coalesce(list(catalog_variant_id order by position), [])
                from klaviyo_catalog_variants as variant
                where variant.catalog_item_id = entry.catalog_item_id
            )
            """,
        )
    },
)
CATALOG_CATEGORY: Final = Kind(
    "catalog-category",
    {**each("external_id name"), "updated": TIME.format("updated")},
    source="klaviyo_catalog_categories",
    relations={"items": Relation("catalog-item")},
)
CATALOG: Final = (CATALOG_ITEM, CATALOG_VARIANT, CATALOG_CATEGORY)
METRIC: Final = Kind(
    "metric",
    {
        **each("name"),
        **each("created updated", TIME),
        "integration": """
        {'object': 'integration', 'id': left(md5(integration_name), 6),
            'name': integration_name, 'category': integration_category}
        """,
    },
    source="klaviyo_metrics",
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
    relations={
        "profile": Relation("profile", "[profile_id]", is_many=False),
        "metric": Relation("metric", "[metric_id]", is_many=False),
        "attributions": Relation(
            "attribution",
            """
            if(old_attribution(), [], (
                select coalesce(list(attribution_id order by attribution.position), [])
                from klaviyo_attributions as attribution where attribution.event_id = entry.event_id
            ))
            """,
        ),
    },
)
ATTRIBUTED_TO: Final = {
    "event": ("event", "event_id"),
    "attributed-event": ("event", "attributed_event_id"),
    "campaign": ("campaign", "campaign_id"),
    "campaign-message": ("campaign-message", "campaign_message_id"),
    "flow": ("flow", "flow_id"),
    "flow-message": ("flow-message", "flow_message_id"),
}
ATTRIBUTION: Final = Kind(
    "attribution",
    {},
    source="klaviyo_attributions",
    # a campaign's has no flow, and a flow's no campaign
    linkages="json_merge_patch('{}', json_object("
    + ", ".join(
        f"'{name}', if({key} is null, null, json_object('data', json_object('type', '{kind}', 'id', {key})))"
        for name, (kind, key) in ATTRIBUTED_TO.items()
    )
    + "))",
)
MAPPED_METRIC: Final = Kind(
    "mapped-metric",
    {"updated": TIME.format("updated")},
    source="klaviyo_mapped_metrics",
    relations={
        "metric": Relation("metric", "[metric_id]", is_many=False),
        "custom-metric": Relation("custom-metric", is_many=False),
    },
)
FLOW: Final = Kind(
    "flow",
    {**each("name status archived trigger_type"), **each("created updated", TIME)},
    source="klaviyo_flows",
    relations={
        "flow-actions": Relation(
            "flow-action",
            """
            (
                select coalesce(list(flow_action_id order by position), [])
                from klaviyo_flow_actions as action where action.flow_id = entry.flow_id
            )
            """,
        ),
        "tags": Relation("tag"),
    },
)
FLOW_ACTION: Final = Kind(
    "flow-action",
    {"definition": "definition::json", **each("created updated", TIME)},
    source="klaviyo_flow_actions",
    relations={
        "flow": Relation("flow", "[flow_id]", is_many=False),
        "flow-messages": Relation("flow-message"),
    },
    whole=frozenset({"definition"}),
)
FLOW_MESSAGE: Final = Kind(
    "flow-message",
    {
        "channel": "channel",
        # a text has no name of its own
        "definition": """
        if(channel = 'email',
            json_object('id', flow_message_id, 'name', name, 'subject_line', subject, 'preview_text', '',
                'from_email', 'shop@example.com', 'from_label', 'Sandbox'),
            json_object('body', subject))
        """,
        **each("created updated", TIME),
    },
    source="klaviyo_flow_messages",
    relations={
        "flow-action": Relation("flow-action", "[flow_action_id]", is_many=False),
        "template": Relation("template", is_many=False),
    },
    whole=frozenset({"definition"}),
)
LIST: Final = Kind(
    "list",
    {
        **each("name opt_in_process"),
        **each("created updated", TIME),
        "profile_count": """
        (select count(*) from klaviyo_list_members as member where member.list_id = entry.list_id)
        """,
    },
    source="klaviyo_lists",
    relations={"profiles": Relation("profile"), "tags": Relation("tag"), "flow-triggers": Relation("flow")},
    extra=frozenset({"profile_count"}),
)
LIST_MEMBER: Final = replace(
    MEMBER,
    source="""
    (
        select profile.* replace (member.position as position), member.list_id, member.joined_group_at
        from klaviyo_list_members as member
        inner join klaviyo_profiles as profile using (person_id)
    )
    """,
)
CAMPAIGN: Final = Kind(
    "campaign",
    {
        **each("name status archived"),
        "audiences.included": """
        [(select list_id from klaviyo_lists where list_no = if(channel = 'sms', 1, 0))]
        """,
        "audiences.excluded": "[]",
        "send_options.use_smart_sending": "true",
        **each("add_tracking_params is_tracking_clicks", "true", "tracking_options."),
        "tracking_options.is_tracking_opens": "if(channel = 'email', true, null)",
        "tracking_options.custom_tracking_params": "[]",
        "send_strategy": f"{{'method': 'static', 'datetime': {TIME.format('planned_at')}}}",
        **each("created_at scheduled_at updated_at send_time", TIME),
    },
    source="klaviyo_campaigns",
    relations={
        "campaign-messages": Relation("campaign-message", "[campaign_message_id]"),
        "tags": Relation("tag"),
    },
    whole=frozenset({"send_strategy"}),
)
CAMPAIGN_MESSAGE: Final = Kind(
    "campaign-message",
    {
        "definition": """
        if(channel = 'email',
            json_object('channel', channel, 'label', name, 'content', json_object('subject', subject,
                'preview_text', '', 'from_email', 'shop@example.com', 'from_label', 'Sandbox')),
            json_object('channel', channel, 'content', json_object('body', subject, 'media_url', null)))
        """,
        "send_times": f"""
        if(send_time is null, null, [{{'datetime': {TIME.format("send_time")}, 'is_local': false}}])
        """,
        **each("created_at updated_at", TIME),
    },
    source="klaviyo_campaigns",
    relations={
        "campaign": Relation("campaign", "[campaign_id]", is_many=False),
        "template": Relation("template", is_many=False),
        "image": Relation("image", is_many=False),
    },
    whole=frozenset({"definition"}),
)
# Relations lead to these, and a request may choose their fields; this account has none of them.
ABSENT: Final = (
    Kind(
        "custom-metric",
        each("created definition definition.aggregation_method definition.metric_groups name updated", None),
    ),
    Kind("conversation", each("channel", None)),
    Kind("image", each("format hidden image_url name size updated_at", None)),
    Kind(
        "push-token",
        {
            **each("background created enablement_status platform recorded_date token vendor", None),
            **each("app_build app_id app_name app_version device_id device_model", None, "metadata."),
            **each("environment klaviyo_sdk manufacturer os_name os_version sdk_version", None, "metadata."),
        },
    ),
    Kind("tag", each("name", None)),
    Kind("template", each("amp created editor_type html name text updated", None)),
)
KINDS: Final = {
    kind.name: kind
    for kind in (
        *(ACCOUNT, PROFILE, SEGMENT, LIST, METRIC, MAPPED_METRIC, EVENT, ATTRIBUTION),
        *(FLOW, FLOW_ACTION, FLOW_MESSAGE, CAMPAIGN, CAMPAIGN_MESSAGE),
        *CATALOG,
        *ABSENT,
    )
}


# --- what may be asked ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """How a field may be filtered: operators, SQL, the form of its values, and those that there are.

    `compared` stands in for the operator's own comparison, where the SQL gives a list.
    `is_required`: a list without this filter is refused. `otherwise` is what holds where nobody uses it.
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
    # Reports differ on whether what is archived is listed unasked: who relies on it loses rows here.
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


def every(kind: Kind, tier: Tier, **takes: Any) -> Endpoint:
    return Endpoint(kind.path, kind, tier, f"{kind.path}:read", **takes)


def one(kind: Kind, tier: Tier, **takes: Any) -> Endpoint:
    path, rows = f"{kind.path}/{{id}}", f"{kind.key} = $id"
    return Endpoint(path, kind, tier, f"{kind.path}:read", shape="one", rows=rows, **takes)


def in_catalog(path: str, kind: Kind, *, parent: Kind | None = None, **takes: Any) -> Endpoint:
    """All of the catalog, or what of it hangs on the `parent` in the path."""
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
