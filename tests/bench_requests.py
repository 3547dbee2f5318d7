"""Measures what a load costs in requests and waiting: `python -m tests.bench_requests`.

    python -m tests.bench_requests --seconds 130

Three yardsticks. The fewest requests that the contracts allow, table by table. The time of the same load from
vendors that answer at once. And what Klaviyo's three classes and Wistia allow in a minute, with the sandbox
counting as the vendors do. A machine that is busy adds to the second, and can lessen the third.
"""

import math
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa
import requests
import typer

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
from tests.commands import Project
from tests.measuring import TODAY, Measure, timed, vendors

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


# --- the fewest requests -----------------------------------------------------------------------------

PAGES: Final = {
    "klaviyo": {"events": 1000, "profiles": 100, "predictive_analytics": 100, "segments": 10, "lists": 10}
    | dict.fromkeys(("catalog_items", "catalog_variants", "catalog_categories"), 100),
    "sendgrid": {"single_sends": 100, "single_send_stats": 50, "invalid_emails": 500, "lists": 1000}
    | {"group_suppressions": 500},
    "wistia": {"medias": 100, "projects": 100, "visitors": 100, "events": 100},
    "mavera": {"personas": 100},
}
"""How many rows a page of each list holds at most."""
PARENTS: Final = {
    "klaviyo segment_members": ("raw_klaviyo.segments", "id", "segment_id", 100),
    "klaviyo list_members": ("raw_klaviyo.lists", "id", "list_id", 100),
    "klaviyo catalog_category_items": ("raw_klaviyo.catalog_categories", "id", "category_id", 100),
}
"""Lists that are read for each row of another: that table, its key, the key here, and the rows of a page."""
EACH: Final = {
    "klaviyo segment_counts": "select count(*) from raw_klaviyo.segments",
    "klaviyo list_counts": "select count(*) from raw_klaviyo.lists",
    "klaviyo flow_messages": "select count(*) from raw_klaviyo.flow_actions "
    "where definition ->> '$.type' like 'send-%'",
    "klaviyo flow_message_templates": "select count(*) from raw_klaviyo.flow_messages "
    "where channel = 'email'",
    "klaviyo flow_values": "select count(distinct conversion_metric_id) from raw_klaviyo.flow_values",
    "klaviyo campaign_values": "select count(distinct conversion_metric_id) from raw_klaviyo.campaign_values",
    "klaviyo metric_aggregates": "select count(distinct metric_id) from raw_klaviyo.metric_aggregates",
    "sendgrid single_send_details": "select count(*) from raw_sendgrid.single_sends",
    "sendgrid single_send_daily_stats": "select count(*) from raw_sendgrid.single_sends "
    "where status = 'triggered'",
    "sendgrid single_send_link_stats": "select count(*) from raw_sendgrid.single_sends "
    "where status = 'triggered'",
    "sendgrid single_send_variation_stats": "select count(*) from raw_sendgrid.single_sends "
    "where status = 'triggered' and is_abtest",
    "sendgrid automation_stats": "select 1 + count(distinct id) from raw_sendgrid.automation_stats",
    "sendgrid suppressions": "select sum(greatest(1, ceil(n / 500))) from ("
    "select count(*) as n from raw_sendgrid.suppressions group by list)",
    **{
        f"wistia {name}": "select count(*) from raw_wistia.medias"
        for name in ("media_stats", "media_engagement", "media_stats_by_date", "captions", "customizations")
    },
}
"""Tables with a request for each of something."""
FIXED: Final = {
    "klaviyo flows": 2,  # archived or not
    "klaviyo campaigns": 4,  # and by channel
    "sendgrid contacts": 3 + 3,  # the jobs, a new one, its state, and its files here
    "sendgrid geo_stats": 3,  # everywhere and in two countries
    **dict.fromkeys(("mavera threads", "mavera focus_groups", "mavera generations"), 3),  # empty: confirmed
    # They come with other lists.
    **dict.fromkeys(("klaviyo flow_actions", "klaviyo flow_triggers", "klaviyo campaign_messages"), 0),
    "mavera ledger": 0,
}


def fewest(warehouse: Path, names: Sequence[str]) -> dict[str, int]:
    """Return the fewest requests for a first load of each table, given its rows; 1 where nothing is known."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:

        def number(query: str) -> int:
            return int(connection.execute(query).fetchall()[0][0] or 0)

        def least(name: str) -> int:
            vendor, _, table = name.partition(" ")
            if name in FIXED:
                return FIXED[name]
            if name in EACH:
                return number(EACH[name])
            if name in PARENTS:
                parents, key, parent, size = PARENTS[name]
                return number(
                    f"select sum(greatest(1, ceil(n / {size}))) from ("
                    f"select parents.{key}, count(rows.{parent}) as n from {parents} as parents "
                    f"left join raw_{vendor}.{table} as rows on rows.{parent} = parents.{key} group by all)"
                )
            size = PAGES[vendor].get(table)
            rows = number(f"select count(*) from raw_{vendor}.{table}") if size else 0
            return max(1, math.ceil(rows / size)) if size else 1

        return {name: least(name) for name in names}


# --- the time that latency adds ----------------------------------------------------------------------


class Loaded(NamedTuple):
    """A first load: its seconds, and the requests of each table beside the fewest."""

    seconds: float
    requests: dict[str, int]
    fewest: dict[str, int]


def first_load(people: int, latency_ms: int, folder: Path) -> Loaded:
    """Load a world into a new warehouse, from vendors that answer so late, without limits."""
    with vendors(people, TODAY, latency_ms=latency_ms) as url:
        project = Project(folder, url, TODAY.isoformat())
        report, seconds = timed(project, "ingest")
    asked = {f"{each['vendor']} {each['resource']}": each["requests"] for each in report["resources"]}
    return Loaded(seconds, asked, fewest(folder / "warehouse.duckdb", list(asked)))


def show(loaded: Loaded) -> None:
    """Print the requests of each table beside the fewest, most first."""
    for name, count in sorted(loaded.requests.items(), key=lambda each: -each[1]):
        typer.echo(f"{name:<40} {count:>6,} requests, fewest {loaded.fewest[name]:>6,}")
    asked, least = sum(loaded.requests.values()), sum(loaded.fewest.values())
    typer.echo(f"{'all':<40} {asked:>6,} requests, fewest {least:>6,}, {asked / least - 1:+.1%}")


def measures(people: int, latency_ms: int = 1000) -> Iterator[Measure]:
    """Yield the requests of a first load beside the fewest, and its time with latency beside that without."""
    with tempfile.TemporaryDirectory() as folder:
        loads = []
        for latency in (0, latency_ms):
            (path := Path(folder) / str(latency)).mkdir()
            loads.append(first_load(people, latency, path))
    at_once, late = loads
    asked, least = (sum(each.values()) for each in (at_once.requests, at_once.fewest))
    yield Measure("first load", "requests", asked, "the fewest by contract", least)
    yield Measure(f"first load, {latency_ms} ms late", "s", late.seconds, "answered at once", at_once.seconds)


def of_limits() -> Iterator[Measure]:
    """Yield the requests of a minute in each class beside those allowed; one refused is an error."""
    for share in shares():
        assert share.refused == 0, share
        allowed = f"allowed in a minute, class {share.name}"
        yield Measure(f"class {share.name}, steady", "requests", share.steady_minute, allowed, share.allowed)


def main(people: int = 2000, latency_ms: int = 1000, seconds: float = 130.0) -> None:
    """Print the requests of a first load, what latency adds to it, and what is used of each allowance."""
    with tempfile.TemporaryDirectory() as folder:
        loads = []
        for latency in (0, latency_ms):
            (path := Path(folder) / str(latency)).mkdir()
            loads.append(first_load(people, latency, path))
    show(loads[0])
    at_once, late = (load.seconds for load in loads)
    typer.echo(f"{at_once:.1f} s, and {late:.1f} s with {latency_ms} ms of latency: {late - at_once:+.1f} s")
    for share in shares(seconds):
        typer.echo(
            f"{share.name:<7} {share.first_minute:>5,} requests in the first minute of {share.allowed:,}, "
            f"then {share.used:.1%} of the allowance, {share.refused} refused"
        )


if __name__ == "__main__":
    typer.run(main)
