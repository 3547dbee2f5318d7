"""Mavera: personas, threads, studies, voices, generations; and the ledger of what was sent, our database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from common import assumptions
from common.settings import Settings
from ingest.http import Client, Pace, Page, Paging, Parameters, SourceError, Vendor, Whole, total_of
from ingest.pipeline import Pages, Resource, Source
from ingest.typed import Column, Table, each, value

SCHEMA = "raw_mavera"
PAGE_ROWS = 100
LEDGER_ROWS = 10_000

PERSONAS = Table(
    SCHEMA,
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
THREADS = Table(
    SCHEMA,
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
FOCUS_GROUPS = Table(
    SCHEMA,
    "focus_groups",
    ("id",),
    [
        *each("text", "id name status workspace_id"),
        # No reference of focus groups is known: their insides stay as they came.
        *each("any", "persona_ids questions results usage error"),
        *each("timestamptz", "created_at updated_at"),
    ],
    drops="object",
    newest="updated_at",
)
BRAND_VOICES = Table(
    SCHEMA,
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
GENERATIONS = Table(
    SCHEMA,
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
LEDGER = Table(
    SCHEMA,
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


@dataclass(frozen=True)
class EitherWay:
    """The two styles that Mavera's reference shows for one and the same list: by cursor, or by offset and
    total."""

    empty_ends: bool = True
    total: str = "$.total"

    def first(self) -> Parameters:
        return {"limit": PAGE_ROWS}

    def after(self, asked: Parameters, page: Page, count: int) -> Parameters | None:
        if cursor := value(page.text, "$.next_cursor"):
            return {**self.first(), assumptions.CURSOR: cursor}
        total = total_of(page.text, self.total)
        if total is not None and page.row_count and count < total:
            return {**self.first(), "offset": int(asked.get("offset", 0)) + page.row_count}
        return None


def personas(client: Client, _since: None) -> Pages:
    """Base personas and the account's own; which are which is `is_custom`, not a filter."""
    yield from client.pages("personas", PERSONAS, EitherWay())


def each_whole(
    path: str, table: Table, paging: Paging = EitherWay()
) -> Callable[[Client, datetime | None], Pages]:
    """Rows of a list, each asked for with all it holds, unless it has not moved since the last run."""

    def read(client: Client, since: datetime | None) -> Pages:
        for page in client.pages(path, table, paging):
            for row in page.select(["id", "updated_at"]).to_pylist():
                if since is None or row["updated_at"] is None or row["updated_at"] >= since:
                    yield from client.pages(f"{path}/{{id}}", table, Whole(), ids={"id": row["id"]})

    return read


def ledger(url: str) -> Iterator[pa.Table]:
    """The journal as it stands, read-only; none where nothing was ever sent. The file is never created.

    Raises SourceError where the ledger is damaged or cannot be reached.
    """
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite":
        if not address.database or not Path(address.database).exists():
            return
        url = f"sqlite:///file:{address.database}?mode=rw&uri=true"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            if not sa.inspect(connection).has_table("journal"):
                return
            names = [column.name for column in LEDGER.columns]
            journal = sa.table("journal", *map(sa.column, names))
            rows = connection.execute(sa.select(journal).order_by(journal.c.entry_id)).mappings()
            for part in rows.partitions(LEDGER_ROWS):
                yield LEDGER.from_rows(dict(row) for row in part)
    except sa.exc.DBAPIError as error:
        said, *_ = [*str(error.orig).splitlines(), ""]  # the error itself would quote the query
        is_file = address.get_backend_name() == "sqlite"
        remedy = "Bring back its last backup" if is_file else "See that its server runs"
        raise SourceError(f"the ledger cannot be read ({said}). {remedy}") from error


def resources(settings: Settings) -> list[Resource]:
    return [
        Resource(PERSONAS, personas, replaced=True),
        Resource(THREADS, each_whole("mave/threads", THREADS), cursor="updated_at"),
        Resource(FOCUS_GROUPS, each_whole("focus-groups", FOCUS_GROUPS), cursor="updated_at"),
        # No paging of this list is documented; that it is empty is usual.
        Resource(
            BRAND_VOICES,
            each_whole("brand-voices", BRAND_VOICES, Whole(empty_ends=False)),
            cursor="updated_at",
        ),
        Resource(GENERATIONS, each_whole("generations", GENERATIONS), cursor="updated_at"),
        Resource(LEDGER, lambda _client, _since: ledger(settings.ledger_url), needs_key=False),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    return Vendor(
        settings.mavera_base_url,
        f"Bearer {key}",
        pace=Pace(),
        by_endpoint=False,
        is_near=settings.world_of("mavera") == "sandbox",
    )


MAVERA = Source("mavera", "MAVERA_API_KEY", connect, resources, probes={"": "workspaces"})
