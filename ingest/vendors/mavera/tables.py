"""The raw tables of Mavera."""

from functools import partial

from ingest.typed import Column, Table, each

OUR_TABLE = partial(Table, "raw_mavera", is_ours=True)

PERSONAS = OUR_TABLE(
    "personas",
    ("id",),
    [
        *each("text", "id name category description pipeline_type type"),
        *each("bool", "is_custom is_expert"),
        Column("created_at", "timestamptz"),  # Unix seconds here, ISO 8601 elsewhere
        Column("credits_charged", "bigint"),
        Column("details", "any"),
    ],
    drops="object",
)
THREADS = OUR_TABLE(
    "threads",
    ("id",),
    [
        *each("text", "id title current_phase complexity"),
        Column("credits_used", "bigint"),
        Column("workspace_id", "text"),
        Column("message_count", "bigint"),
        *each("timestamptz", "created_at updated_at"),
        *each("any", "messages sources personas_used"),
    ],
    drops="object",
    newest="updated_at",
)
FOCUS_GROUPS = OUR_TABLE(
    "focus_groups",
    ("id",),
    [
        *each("text", "id name status workspace_id"),
        # No reference of focus groups exists: their contents are stored unchanged.
        *each("any", "persona_ids questions results usage error"),
        *each("timestamptz", "created_at updated_at"),
    ],
    drops="object",
    newest="updated_at",
)
BRAND_VOICES = OUR_TABLE(
    "brand_voices",
    ("id",),
    [
        *each("text", "id label usage_context status error voice_summary workspace_id"),
        *each("any", "tone writing_style vocabulary example_phrases sources"),
        *each("timestamptz", "created_at updated_at"),
    ],
    drops="object",
    newest="updated_at",
)
GENERATIONS = OUR_TABLE(
    "generations",
    ("id",),
    [
        *each("text", "id title content_type workspace_id output content markdown"),
        # An app is an object in the reference, a bare id in the guide.
        *each("any", "app brand_voice input_data usage"),
        *each("timestamptz", "created_at updated_at"),
    ],
    drops="object",
    newest="updated_at",
)
LEDGER = OUR_TABLE(
    "ledger",
    ("entry_id",),
    [
        Column("entry_id", "bigint"),
        *each("text", "call_id event written_at run_id destination kind record_key job action fingerprint"),
        *each("json", "facts payload"),
        *each("text", "state remote_id thread_id"),
        *each("bigint", "credits_low credits_high credits"),
        *each("text", "credits_source error"),
        Column("answer", "json"),
    ],
)
