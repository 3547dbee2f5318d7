"""Local times: the seed equals Python's zoneinfo for the same release."""

import csv
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import tzdata

from transform import zones


@pytest.fixture(scope="module")
def spans() -> dict[str, list[tuple[datetime, datetime, int]]]:
    found = defaultdict(list)
    with zones.SEED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            began, ended = (datetime.fromisoformat(row[end]) for end in ("from_at", "until_at"))
            found[row["time_zone"]].append((began, ended, int(row["offset_seconds"])))
    return dict(found)


def test_every_zone_and_alias_of_the_release_has_its_clocks_without_a_gap(spans) -> None:
    assert sorted(spans) == sorted(zones.names())
    assert {"US/Pacific", "Asia/Calcutta", "UTC"} <= spans.keys()
    for of_zone in spans.values():
        assert (of_zone[0][0], of_zone[-1][1]) == (zones.SINCE, zones.UNTIL)
        assert all(before[1] == after[0] for before, after in pairwise(of_zone))


def test_local_times_are_those_of_zoneinfo_on_the_same_data(spans) -> None:
    days = [zones.SINCE + timedelta(hours=37 * step) for step in range(6_000)]
    for name, of_zone in spans.items():
        python: ZoneInfo = zones.zone(name)
        starts = [began for began, _, _ in of_zone]
        edges = [began + timedelta(seconds=seconds) for began in starts[1:] for seconds in (-1, 0)]
        for moment in (*days[:: 1 if len(of_zone) > 1 else 50], *edges):
            if moment < zones.UNTIL:
                offset = of_zone[bisect_right(starts, moment) - 1][2]
                assert zones.offset_seconds(python, moment) == offset, (name, moment)


def test_the_release_is_named_where_the_seed_is_described() -> None:
    assert f"release {tzdata.IANA_VERSION}" in zones.YAML.read_text(encoding="utf-8")
