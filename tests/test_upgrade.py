"""A warehouse and a ledger that an earlier version wrote go on in this one.

`layouts/<version>` keeps what that version left after `make demo PEOPLE=20` on 21 November 2026: raw data of
the warehouse, from which all else is built, and the ledger. A release adds its own and changes none.
"""

import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from commands import Project

from sandbox.server import Sandbox, serving
from sandbox.world import World

LAYOUTS = sorted((Path(__file__).parent / "layouts").iterdir())
LEDGER_OF = "http://127.0.0.1:8797/mavera/api/v1"  # a ledger belongs to one Mavera; plan asks it nothing
SENT = {"analyses/viewer-clusters:all", "brand-voices/brand-voice:account"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Sandbox(World(20, 7, date(2026, 11, 21)), limits="off")) as url:
        yield url


@pytest.fixture(params=LAYOUTS, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Project:
    for packed in request.param.glob("*.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return Project(tmp_path, url, extra={"MAVERA_BASE_URL": LEDGER_OF})


def test_what_an_earlier_version_left_is_loaded_on_modelled_and_not_paid_again(kept: Project) -> None:
    loaded = kept.well("ingest", "sendgrid", "wistia", "klaviyo")
    assert loaded["totals"]["rows_read"] > 0
    assert loaded["totals"]["rows_new"] == loaded["totals"]["rows_changed"] == 0
    assert kept.well("activate", "ledger", "verify")["rows"] == 6
    kept.well("transform")
    steps = {step["key"]: step["action"] for step in kept.well("activate", "plan")["steps"]}
    assert {steps[key] for key in SENT} == {"leave"}
    assert "create" not in steps.values()
