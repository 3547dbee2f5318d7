"""Klaviyo's kinds of resources, their fields and their relations.

Names are those of the official description of revision 2026-07-15.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

ACCOUNT_ID: Final = "SANDBX"


SQL = str  # an expression over one row of a source; or a source, which has a column `position`
Fields = Mapping[str, SQL | None]


@dataclass(frozen=True)
class Relation:
    """A kind that a resource points to, and the ids as a list; None where this account has no such things."""

    kind: str
    ids: SQL | None = None
    is_many: bool = True

    @property
    def has_data(self) -> bool:
        """Return whether a resource can give related ids: nothing at all is an empty list or no member."""
        return self.is_many or self.ids is not None


@dataclass(frozen=True)
class Kind:
    """A type of resource.

    `fields` gives each attribute, with dots for nested ones, as SQL; None if this account never has a value.
    `extra` are the outermost fields that are served only when `additional-fields` asks for them. A request
    may name any part of a field in `whole`: it is served complete. `linkages` gives the relations as JSON if
    they differ from row to row and are served by default.
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
    """Map every name to the same SQL, in which `{}` is the name."""
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
    relations={
        "flow-triggers": Relation(
            "flow",
            """
            (
                select coalesce(list(flow_id order by flow.position), [])
                from klaviyo_flows as flow where flow.trigger_metric_no = entry.metric_no
            )
            """,
        )
    },
)
EVENT: Final = Kind(
    "event",
    {
        "timestamp": "epoch(occurred_at)::bigint",
        "datetime": "(occurred_at at time zone 'UTC')::varchar || '+00:00'",  # a blank instead of the T
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
    # a campaign's message has no flow, and a flow's no campaign
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
        # a text message has no name of its own
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
TEMPLATE: Final = Kind(
    "template",
    {
        **each("name editor_type html text"),
        **each("created updated", TIME),
        "amp": "null",
        "definition": """
        json_object('body', json_object('properties', '{}'::json, 'styles', '{}'::json), 'styles', [])
        """,
    },
    source="klaviyo_templates",
    extra=frozenset({"definition"}),
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
)
KINDS: Final = {
    kind.name: kind
    for kind in (
        *(ACCOUNT, PROFILE, SEGMENT, LIST, METRIC, MAPPED_METRIC, EVENT, ATTRIBUTION),
        *(FLOW, FLOW_ACTION, FLOW_MESSAGE, TEMPLATE, CAMPAIGN, CAMPAIGN_MESSAGE),
        *CATALOG,
        *ABSENT,
    )
}
