"""Writes the seed of local times: the UTC offsets of every IANA time zone, from one named release.

Engines have zone tables of their own, which differ by version: with them, upgrading a database would move
people's hours. `make zones` reads the `tzdata` package and writes `dbt_project/seeds/time_zone_offsets.csv`.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import typer
import tzdata  # type: ignore[import-untyped]

from common import seeds, settings

SEED: Final = seeds.FOLDER / "time_zone_offsets.csv"
YAML: Final = seeds.FOLDER / "_seeds.yml"
SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)
UNTIL: Final = datetime(2041, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(days=7)  # no zone keeps an offset for less: Morocco's Ramadan takes about 30 days


def names() -> list[str]:
    """Return every zone and alias of the release."""
    return (resources.files(tzdata) / "zones").read_text(encoding="utf-8").split()


def zone(name: str) -> ZoneInfo:
    """Return a zone of the release, regardless of the machine's own tables."""
    with resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def offset_seconds(of: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(of).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def spans(of: ZoneInfo) -> Iterator[tuple[datetime, datetime, int]]:
    """Yield the periods of a zone: start, end (excluded) and seconds ahead of UTC."""
    began, moment, offset = SINCE, SINCE, offset_seconds(of, SINCE)
    while moment < UNTIL:
        later = min(moment + STEP, UNTIL)
        if offset_seconds(of, later) != offset:
            before, after = moment, later
            while after - before > timedelta(seconds=1):
                middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
                before, after = (middle, after) if offset_seconds(of, middle) == offset else (before, middle)
            if after < UNTIL:
                yield began, after, offset
                began, offset = after, offset_seconds(of, after)
                later = after
        moment = later
    yield began, UNTIL, offset


def main() -> None:
    with SEED.open("w", encoding="utf-8", newline="") as file:
        written = csv.writer(file, lineterminator="\n")
        written.writerow(("time_zone", "from_at", "until_at", "offset_seconds"))
        for name in sorted(names()):
            for began, ended, offset in spans(zone(name)):
                written.writerow((name, began, ended, offset))
    typer.echo(f"{SEED.relative_to(settings.ROOT)}: IANA time zones, release {tzdata.IANA_VERSION}")
    if f"release {tzdata.IANA_VERSION}" not in YAML.read_text(encoding="utf-8"):
        typer.echo(
            f"Name release {tzdata.IANA_VERSION} in {YAML.relative_to(settings.ROOT)} and run make docs"
        )


if __name__ == "__main__":
    main()
