"""The raw tables of Mavera."""

from functools import partial

from ingest.typed import Table, each

OBJECT = partial(Table, "raw_mavera", is_ours=True, drops="object")
DATES = each(timestamptz="created_at updated_at")

PERSONAS = OBJECT(
    "personas",
    ("id",),
    [
        *each(text="id name category description pipeline_type type", bool="is_custom is_expert"),
        *each(timestamptz="created_at", bigint="credits_charged"),  # Unix seconds here, ISO 8601 elsewhere
        *each(any="details"),
    ],
)
THREADS = OBJECT(
    "threads",
    ("id",),
    [
        *each(text="id title current_phase complexity workspace_id", bigint="credits_used message_count"),
        *each(any="messages sources personas_used"),
        *DATES,
    ],
    newest="updated_at",
)
FOCUS_GROUPS = OBJECT(
    "focus_groups",
    ("id",),
    # No reference of focus groups exists: their contents are stored unchanged.
    [*each(text="id name status workspace_id", any="persona_ids questions results usage error"), *DATES],
    newest="updated_at",
)
BRAND_VOICES = OBJECT(
    "brand_voices",
    ("id",),
    [
        *each(text="id label usage_context status error voice_summary workspace_id"),
        *each(any="tone writing_style vocabulary example_phrases sources"),
        *DATES,
    ],
    newest="updated_at",
)
GENERATIONS = OBJECT(
    "generations",
    ("id",),
    [
        *each(text="id title content_type workspace_id output content markdown"),
        *each(
            any="app brand_voice input_data usage"
        ),  # an app is an object in the reference, an id in the guide
        *DATES,
    ],
    newest="updated_at",
)
LEDGER = OBJECT(
    "ledger",
    ("entry_id",),
    [
        *each(bigint="entry_id"),
        *each(text="call_id event written_at run_id destination kind record_key job action fingerprint"),
        *each(json="facts payload", text="state remote_id thread_id"),
        *each(bigint="credits_low credits_high credits", text="credits_source error", json="answer"),
    ],
)
