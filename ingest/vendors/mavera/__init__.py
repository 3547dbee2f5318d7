"""Mavera: personas, threads, studies, voices, generations; and the ledger of what was sent, our database."""

from common.pace import Pace
from common.settings import Settings
from ingest.http import Vendor
from ingest.model import Resource, Source
from ingest.paging import Whole
from ingest.vendors.mavera import reads, tables


def resources(settings: Settings) -> list[Resource]:
    return [
        Resource(tables.PERSONAS, reads.personas, replaced=True),
        Resource(tables.THREADS, reads.each_whole("mave/threads", tables.THREADS), cursor="updated_at"),
        Resource(
            tables.FOCUS_GROUPS, reads.each_whole("focus-groups", tables.FOCUS_GROUPS), cursor="updated_at"
        ),
        # No paging of this list is documented; that it is empty is usual.
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


MAVERA = Source("mavera", "MAVERA_API_KEY", connect, resources, probes={"": "workspaces"})
