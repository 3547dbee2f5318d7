"""A lake in an object store: ingest writes, compares, replaces and joins files there as in a folder.

The server is moto's, on this machine. Spark's own reading of object stores needs jars that no Python package
has, and is not tested.
"""

import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from common import settings
from common.lake.files import Files
from sandbox.server import Sandbox
from sandbox.world import World
from tests.ingest.lakes import LakeMachine
from tests.ingest.test_ingest import TODAY, differences, sandbox, worlds  # noqa: F401 - fixtures

BUCKET = "mavera-lake"


@pytest.fixture
def store(object_store: str) -> str:
    return f"http://{object_store}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger_server: str, store: str) -> LakeMachine:
    machine = LakeMachine(tmp_path, monkeypatch, ledger_server)
    machine.set(
        LAKE_URL=f"s3://{BUCKET}/{tmp_path.name}",
        AWS_ENDPOINT_URL=store,
        AWS_ACCESS_KEY_ID="nobody",
        AWS_SECRET_ACCESS_KEY="nothing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    import boto3

    boto3.client("s3", endpoint_url=store).create_bucket(Bucket=BUCKET)
    return machine


def test_a_lake_in_an_object_store_has_the_rows_of_the_world(
    machine: LakeMachine,
    sandbox: Sandbox,  # noqa: F811
    worlds: Mapping[date, World],  # noqa: F811
) -> None:
    first = machine.ingest()
    assert first.code == 0, first.said
    assert not differences(machine, worlds[TODAY])
    files = Files(settings.load().lake_url)
    before = files.every()
    assert before
    second = machine.ingest()
    assert (second.code, second.report["totals"]["rows_new"]) == (0, 0)
    assert files.every() == before
    assert files.url_of(before[0]).startswith(f"s3a://{BUCKET}/")


def test_rows_are_replaced_removed_and_joined_there(machine: LakeMachine) -> None:
    from tests.ingest.test_lake import COLUMNS, EVENTS, add, owners

    with machine.opened(write=True) as lake:
        lake.declare(EVENTS, COLUMNS)
        add(lake, a="ada", b="bea")
        add(lake, newer=True, a="ann")
        assert lake.delete(EVENTS, "owner = 'bea'") == 1
        lake.commit()
        assert owners(lake) == {"a": "ann"}
        lake.tidy()
        assert owners(lake) == {"a": "ann"}
        ((file,),) = lake.manifest.values()
        assert lake.files.raw() == [file.path]


def test_a_bucket_that_is_not_there_is_one_line(machine: LakeMachine, sandbox: Sandbox) -> None:  # noqa: F811
    machine.set(LAKE_URL="s3://nobodys-bucket/lake")
    ran = subprocess.run(
        [sys.executable, "-m", "ingest", "wistia"],
        cwd=settings.ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert "nobodys-bucket" in line
