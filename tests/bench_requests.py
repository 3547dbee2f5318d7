"""Measures what a load costs in requests and waiting: `python -m tests.bench_requests`.

    python -m tests.bench_requests --seconds 130

Three yardsticks. The fewest requests that the contracts allow, table by table. The time of the same load from
vendors that answer at once. And what Klaviyo's three classes and Wistia allow in a minute, with the sandbox
counting as the vendors do.
"""

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import pyarrow as pa
import requests

from common.settings import Settings
from ingest.http import Client
from ingest.paging import Whole
from ingest.parallel import side_by_side
from ingest.vendors.klaviyo import KLAVIYO, tables
from ingest.vendors.klaviyo.classes import TIERS
from ingest.vendors.klaviyo.reads import AT_ONCE
from ingest.vendors.wistia import REQUESTS_A_MINUTE, WISTIA
from ingest.vendors.wistia import reads as wistia_reads
from ingest.vendors.wistia import tables as wistia_tables
from sandbox import klaviyo, wistia
from tests.bench import TODAY, vendors

WINDOW_SECONDS: Final = 60.0


class Class(NamedTuple):
    """A class of requests: who allows how many a minute, and a cheap request of it."""

    name: str
    vendor: str
    allowed: int
    path: str
    at_once: int
    params: Mapping[str, str | int] = {}


CLASSES: Final = (
    Class("M", "klaviyo", TIERS["M"][1][0], "metrics", AT_ONCE["M"]),
    Class("L", "klaviyo", TIERS["L"][1][0], "lists", AT_ONCE["L"], {"page[size]": 1}),
    Class("XL", "klaviyo", TIERS["XL"][1][0], "catalog-categories", AT_ONCE["XL"], {"page[size]": 1}),
    Class("Wistia", "wistia", REQUESTS_A_MINUTE, "medias.json", wistia_reads.AT_ONCE, {"per_page": 1}),
)


class Share(NamedTuple):
    """How much of a minute's allowance was used, first and steadily, and how many requests were refused."""

    name: str
    allowed: int
    first_minute: int
    steady_minute: float
    refused: int

    @property
    def used(self) -> float:
        """The part of the minute's allowance that was used after the first minute."""
        return self.steady_minute / self.allowed


def _settings(url: str) -> Settings:
    return Settings(
        _env_file=None,
        klaviyo_api_key=klaviyo.KEY,
        wistia_api_token=wistia.KEY,
        klaviyo_base_url=f"{url}/klaviyo/api",
        wistia_base_url=f"{url}/wistia/v1",
        pace_sandbox=True,
    )


def ask_for(seconds: float, each: Class, url: str) -> None:
    """Send one cheap request of a class after the other, as many at once as a load does."""
    source = {"klaviyo": KLAVIYO, "wistia": WISTIA}[each.vendor]
    settings = _settings(url)
    client = Client(source.connect(settings, source.key(settings) or ""), datetime.now(UTC))
    table = wistia_tables.MEDIAS if each.vendor == "wistia" else tables.LISTS
    until = time.monotonic() + seconds

    def parts() -> Iterator[partial[Iterator[pa.Table]]]:
        while time.monotonic() < until:
            yield partial(client.pages, each.path, table, Whole(), each.params)

    for _ in side_by_side(parts(), each.at_once):
        pass


def shares(seconds: float = 130.0, names: Sequence[str] = (), latency_ms: int = 200) -> list[Share]:
    """Return what is used of each class's allowance, all at once, from a sandbox with real limits."""
    classes = [each for each in CLASSES if not names or each.name in names]
    with vendors(200, TODAY, limits="real", latency_ms=latency_ms) as url:
        threads = [threading.Thread(target=ask_for, args=(seconds, each, url)) for each in classes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal = requests.get(f"{url}/control/journal", timeout=60).json()
    return [_share(each, journal) for each in classes]


def _share(each: Class, journal: Sequence[Mapping[str, Any]]) -> Share:
    mine = [entry for entry in journal if entry["path"].endswith(each.path)]
    times = [entry["at"] for entry in mine if entry["status"] == 200]
    # A burst may be at any place of a minute, so whole windows of the pace are counted.
    window = WINDOW_SECONDS * 1.02
    whole = math.floor((times[-1] - times[0]) / window)
    later = sum(window <= at - times[0] < whole * window for at in times) / max(whole - 1, 1)
    refused = sum(entry["status"] == 429 for entry in mine)
    first = sum(at - times[0] < WINDOW_SECONDS for at in times)
    return Share(each.name, each.allowed, first, later / 1.02, refused)
