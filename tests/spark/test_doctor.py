"""What `make doctor` says of a server and a lake that are there."""

from pathlib import Path

import pytest
from pyarrow import fs

from common import settings
from operate import cluster, doctor
from tests.spark.conftest import settings_for
from transform import spark


def of(check: doctor.Check) -> str:
    return f"{check.state} {check.text}"


@pytest.fixture
def ours(shared_cluster: cluster.Cluster, lake: Path) -> settings.Settings:
    return settings_for(lake).model_copy(update={"spark_remote": shared_cluster.remote})


def test_a_server_with_all_settings_is_well(ours: settings.Settings) -> None:
    (line,) = map(of, doctor._spark(ours))
    where = ours.spark_remote.removeprefix("sc://")
    assert line.startswith("ok version 4.1.")
    assert line.endswith(f" answers at {where} and has the settings that models need")
    assert doctor._versions(ours).state == "ok"


def test_a_server_that_lacks_a_setting_is_a_failure(
    ours: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(spark.NEEDED, "spark.sql.session.timeZone", "ELSEWHERE")
    (line,) = map(of, doctor._spark(ours))
    assert line.startswith("fail the Spark server at 127.0.0.1:")
    assert "has spark.sql.session.timeZone=UTC. Start it with spark.sql.session.timeZone=ELSEWHERE" in line


@pytest.fixture
def s3(object_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The parameters of an address with which Arrow finds the server with S3's interface."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    return f"endpoint_override={object_store}&scheme=http&region=us-east-1"


def test_an_object_store_is_written_read_and_left_as_it_was(s3: str, ours: settings.Settings) -> None:
    on_s3 = settings.Settings(**{**dict(ours), "lake_url": f"s3://bucket/lake?{s3}"})
    (line,) = map(of, doctor._lake(on_s3))
    assert line.startswith("fail s3://bucket/lake cannot be used: ")
    store, _ = fs.FileSystem.from_uri(f"s3://bucket?{s3}&allow_bucket_creation=true")
    store.create_dir("bucket")
    (line,) = map(of, doctor._lake(on_s3))
    assert line == "ok s3://bucket/lake can be written and read"
    left = store.get_file_info(fs.FileSelector("bucket", recursive=True))
    assert not [each.path for each in left if each.is_file]  # Arrow leaves a mark of the folder
