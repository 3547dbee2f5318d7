"""Mavera: personas, threads, studies, voices, generations; and the ledger of requests, our own database."""

from collections.abc import Callable, Iterator
from typing import Any

from common.pace import Pace
from common.settings import Settings
from ingest.http import Vendor
from ingest.model import Remark, Resource, Source
from ingest.paging import Whole
from ingest.vendors.mavera import reads, tables
from privacy import outside


def resources(settings: Settings) -> list[Resource]:
    return [
        Resource(tables.PERSONAS, reads.personas, replaced=True),
        Resource(tables.THREADS, reads.each_whole("mave/threads", tables.THREADS), cursor="updated_at"),
        Resource(
            tables.FOCUS_GROUPS, reads.each_whole("focus-groups", tables.FOCUS_GROUPS), cursor="updated_at"
        ),
        # No paging of this list is documented; an empty one is usual.
        Resource(
            tables.BRAND_VOICES,
            reads.each_whole("brand-voices", tables.BRAND_VOICES, Whole(empty_ends=False)),
            cursor="updated_at",
        ),
        Resource(
            tables.GENERATIONS, reads.each_whole("generations", tables.GENERATIONS), cursor="updated_at"
        ),
        Resource(tables.LEDGER, lambda _client, _since: reads.ledger(settings.ledger_url), needs_key=False),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    return Vendor(
        settings.mavera_base_url,
        f"Bearer {key}",
        pace=Pace(),
        by_endpoint=False,
        is_near=settings.world_of("mavera") == "sandbox",
    )


def tell(get: Callable[[str], Any], settings: Settings, _scopes: str) -> Iterator[Remark]:
    """Return whether the configured workspace belongs to the account."""
    listed, chosen = get("workspaces"), settings.mavera_workspace_id
    workspaces = {row["id"] for row in listed["data"]}
    if chosen is None:
        yield Remark("ok", "the key is good; without MAVERA_WORKSPACE_ID no focus group, no brand voice")
    elif chosen not in workspaces and not listed.get("has_more"):
        known = outside.words(", ".join(sorted(workspaces))) or "any"
        yield Remark("fail", f"MAVERA_WORKSPACE_ID is none of {known}")
    else:
        yield Remark("ok", f"the key is good, and so is workspace {chosen}")


MAVERA = Source(
    name="mavera",
    title="Mavera",
    key_name="MAVERA_API_KEY",
    key_like="mvra_live_0123456789abcdef",
    connect=connect,
    resources=resources,
    tell=tell,
    probes={"": "workspaces"},
)
