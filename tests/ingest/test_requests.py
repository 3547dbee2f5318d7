"""How many requests a load makes, beside the fewest that the vendors' contracts allow; and at what pace."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pytest

from common.pace import Pace
from common.settings import Settings
from ingest.http import Client
from ingest.paging import Whole
from ingest.parallel import side_by_side
from ingest.vendors import SOURCES
from ingest.vendors.klaviyo.classes import class_of, windows_of
from ingest.vendors.wistia import tables as wistia
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.bench_requests import fewest
from tests.ingest.test_ingest import TODAY, Machine

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")

WITHIN: Final = 1.05
MOST_MORE: Final = 8
"""How many more requests one table may make: behind an end that nobody knows, and for the parts of a list."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine(tmp_path, monkeypatch)
    with serving(Sandbox(World(400, 7, TODAY, since=date(2026, 7, 1)), limits="off")) as url:
        machine.meet(url, TODAY)
        yield machine


def test_a_load_makes_few_more_requests_than_it_must(machine: Machine) -> None:
    def asked() -> dict[str, int]:
        ran = machine.ingest()
        assert ran.code == 0
        return {f"{row['vendor']} {row['resource']}": row["requests"] for row in ran.report["resources"]}

    first = asked()
    least = fewest(machine.warehouse, list(first))
    more = {name: (count, least[name]) for name, count in first.items() if count > least[name]}
    assert sum(first.values()) <= WITHIN * sum(least.values()), more
    assert all(count - fewest_ <= max(MOST_MORE, (WITHIN - 1) * fewest_) for count, fewest_ in more.values())
    assert not {name: (count, least[name]) for name, count in first.items() if count < least[name]}

    again = asked()
    for vendor, resource in (("klaviyo", "events"), ("klaviyo", "profiles"), ("klaviyo", "lists")):
        assert again[f"{vendor} {resource}"] == 1
    # A page of a round size may have been cut: the next one is requested, and three times if it is empty.
    assert again["wistia events"] in (1, 4)
    days = [name for name in again if name.startswith("sendgrid") and name.endswith("_stats")]
    by_day = {name: again[name] for name in days if "single_send" not in name and "automation" not in name}
    # Countries are requested everywhere, and by region in two of them.
    assert by_day == dict.fromkeys(by_day, 1) | {"sendgrid geo_stats": 3}


# --- the pace ----------------------------------------------------------------------------------------


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("name", "burst", "a_minute"),
    [
        ("accounts", 1, 15),
        ("flows", 3, 60),
        ("profiles predictive_analytics", 10, 150),
        ("profiles", 75, 700),
        ("events", 350, 3_500),
    ],
)
def test_the_allowance_of_each_class_is_used_and_not_exceeded(name: str, burst: int, a_minute: int) -> None:
    clock = Clock()
    pace = Pace(windows_of, clock=clock)
    left = sorted(clock.now + pace.turn(name).seconds for _ in range(4 * a_minute))
    assert left[burst - 1] == clock.now  # the burst leaves at once
    for seconds, most in ((1.0, burst), (60.0, a_minute)):
        for at in left[:: max(a_minute // 50, 1)]:
            assert sum(at <= each < at + seconds for each in left) <= most
    assert 60 / ((left[3 * a_minute] - left[0]) / 3) >= 0.95


def test_a_class_is_an_endpoint_and_what_makes_it_costly() -> None:
    plain = class_of("segments/{segment}/profiles", {"page[size]": 100})
    assert plain == class_of("segments/{group}/profiles", {}) == "segments/{}/profiles"
    assert class_of("profiles", {"additional-fields[profile]": "subscriptions"}) == "profiles"
    predicted = class_of("profiles", {"additional-fields[profile]": "predictive_analytics"})
    assert predicted == "profiles predictive_analytics"


@pytest.mark.parametrize("is_paced", [True, False])
def test_wistia_is_paced_on_this_machine_only_if_asked(
    is_paced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the pace of production, a sandbox with Wistia's real limit refuses nothing."""
    monkeypatch.setattr("sandbox.wistia.api.REQUESTS_A_MINUTE", 20)
    monkeypatch.setattr("ingest.vendors.wistia.REQUESTS_A_MINUTE", 20)
    sandbox = Sandbox(World(200, 7, TODAY), limits="real")
    (source,) = [each for each in SOURCES if each.name == "wistia"]
    with serving(sandbox) as url:
        settings = Settings(
            _env_file=None, wistia_api_token="wistia-sandbox", wistia_base_url=f"{url}/wistia/v1",
            pace_sandbox=is_paced,
        )  # fmt: skip
        vendor = source.connect(settings, source.key(settings) or "")
        client = Client(vendor, datetime.now(UTC))

        def part() -> Iterator[object]:
            return client.pages("medias.json", wistia.MEDIAS, Whole(), {"per_page": 1})

        if is_paced:
            assert len(list(side_by_side([part] * 20, 8))) == 20
            assert 50 < vendor.pace.room("").seconds <= 61.3  # the next one waits for the minute
            assert {entry.status for entry in sandbox.journal} == {200}
        else:
            assert vendor.pace.room("").seconds == 0
