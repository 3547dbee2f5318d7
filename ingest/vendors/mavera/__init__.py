"""Mavera: personas, threads, studies, voices, generations; and the ledger of requests, our own database."""

from collections.abc import Callable, Iterator
from typing import Any

from common.settings import Settings
from ingest.http import Vendor
from ingest.model import Remark, Resource, Source, listed
from ingest.paging import Paging, Whole
from ingest.typed import Table
from ingest.vendors.mavera import reads, tables
from privacy import outside


def resources(settings: Settings) -> list[Resource]:
    def objects(table: Table, path: str, paging: Paging = reads.EITHER_WAY) -> Resource:
        return Resource(table, reads.each_whole(path, table, paging), cursor="updated_at")

    return [
        # Base personas and the account's own; `is_custom` tells them apart, there is no filter.
        listed(tables.PERSONAS, "personas", reads.EITHER_WAY, replaced=True),
        objects(tables.THREADS, "mave/threads"),
        objects(tables.FOCUS_GROUPS, "focus-groups"),
        # No paging of this list is documented; an empty one is usual.
        objects(tables.BRAND_VOICES, "brand-voices", Whole(empty_ends=False)),
        objects(tables.GENERATIONS, "generations"),
        Resource(tables.LEDGER, lambda _client, _since: reads.ledger(settings.ledger_url), needs_key=False),
    ]


def connect(settings: Settings, key: str) -> Vendor:
    return Vendor(
        settings.mavera_base_url,
        f"Bearer {key}",
        classed=lambda _path, _params: "",
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
