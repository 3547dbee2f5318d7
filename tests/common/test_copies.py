"""Published copies of earlier days."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from common import copies
from common.warehouse import WarehouseError


def day(number: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, number, hour, tzinfo=UTC)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published" / "published.duckdb"


def publish(published: Path, text: str, now: datetime, count: int = 3, *, people: bool = False) -> None:
    """Replace the copy, as publishing does, and keep it."""
    published.parent.mkdir(exist_ok=True)
    draft = published.with_name("draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(published)
    copies.keep(published, now, count, people=people)


def test_the_last_copy_of_each_day_is_kept_for_the_last_days_with_one(published: Path) -> None:
    for number in (1, 2, 2, 5, 9):
        publish(published, f"of {number}", day(number))
    publish(published, "of 9, later", day(9, 23))
    assert [copy.day.day for copy in copies.kept(published)] == [2, 5, 9]
    read = {
        asked: copies.current_at(published, f"2026-11-{asked}").read_text()
        for asked in ("02", "04", "08", "30")
    }
    assert read == {"02": "of 2", "04": "of 2", "08": "of 5", "30": "of 9, later"}


def test_a_day_without_a_copy_and_a_word_that_is_no_day_are_one_line_each(published: Path) -> None:
    with pytest.raises(WarehouseError, match="2026-11-01 or before is kept: none is kept yet"):
        copies.current_at(published, "2026-11-01")
    publish(published, "of 5", day(5))
    with pytest.raises(WarehouseError, match="2026-11-04 or before is kept: the oldest is of 2026-11-05"):
        copies.current_at(published, "2026-11-04")
    with pytest.raises(WarehouseError, match="yesterday is no day: write it as in AT=2026-11-01"):
        copies.current_at(published, "yesterday")


def test_a_kept_copy_takes_no_room_until_the_copy_is_replaced(published: Path) -> None:
    publish(published, "x" * 100, day(1))
    assert copies.bytes_used(published) == 0
    publish(published, "x" * 30, day(2))
    assert copies.bytes_used(published) == 100


def test_copies_with_rows_about_people_go_once_people_are_not_published(published: Path) -> None:
    publish(published, "people", day(1), people=True)
    publish(published, "people", day(2), people=True)
    assert all(copy.has_people for copy in copies.kept(published))
    publish(published, "groups", day(3))
    assert copies.kept(published) == [
        copies.Kept(date(2026, 11, 3), False, published.with_name("kept") / "2026-11-03.duckdb")
    ]


def test_none_is_kept_with_0_and_all_can_be_removed(published: Path) -> None:
    publish(published, "of 1", day(1))
    (published.with_name("kept") / ".2026-11-01.duckdb.123").write_text("a draft that a killed run left")
    (published.with_name("kept") / "mine.duckdb").write_text("not ours")
    assert copies.remove(published) == 1
    assert [path.name for path in published.with_name("kept").iterdir()] == ["mine.duckdb"]
    publish(published, "of 2", day(2), 0)
    assert copies.kept(published) == []
    assert published.read_text() == "of 2"
