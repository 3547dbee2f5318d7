"""Ingest with faults and kills at every stage: after the next run raw equals that of an undisturbed one.

These are a sample; `python -m tests.ingest_faults --seeds 0:END` runs any number of cases.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.ingest_faults import FEW_ROWS, KILLS, Case, Faulty, Found, sample

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with ExitStack() as stack:
        yield Faulty(tmp_path_factory.mktemp("faults"), stack)


def described(case: Case) -> str:
    start = "first load" if case.is_first_load else "day before"
    return f"{case.vendor}, {' x '.join(case.faults)}, {start}"


@pytest.mark.parametrize("case", sample(), ids=described)
def test_faults_lose_nothing_and_double_nothing(faulty: Faulty, case: Case) -> None:
    found = faulty.run(case)
    assert found.is_whole, found


@pytest.mark.parametrize("point", KILLS)
def test_a_run_killed_at_any_stage_is_completed_by_the_next(faulty: Faulty, point: str) -> None:
    found = faulty.run(Case(0, "mavera", (point,), is_first_load=True))
    assert found == Found("killed", 0, 0, 0, found.requests)


@pytest.mark.parametrize("point", ["kill-data", "kill-unmarked"])
def test_rows_without_the_cursor_that_they_move_are_read_again(faulty: Faulty, point: str) -> None:
    found = faulty.run(Case(0, "sendgrid", (point,), is_first_load=False))
    assert found == Found("killed", 0, 0, 0, found.requests)


@pytest.mark.parametrize("point", ["kill-reading", "kill-data", "kill-unmarked"])
def test_a_run_that_is_killed_between_its_batches_is_completed_by_the_next(
    faulty: Faulty, point: str
) -> None:
    found = faulty.run(Case(0, "sendgrid", (point,), is_first_load=True, batch_rows=FEW_ROWS))
    assert found == Found("killed", 0, 0, 0, found.requests)
