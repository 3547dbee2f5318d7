"""This version continues with a warehouse and a ledger that an earlier version wrote.

`layouts/<version>` keeps the files that version left after `make demo PEOPLE=20` on 21 November 2026: raw
data of the warehouse, the source of everything else, and the ledger. `demos/<version>.tar` keeps the same of
a whole `make demo PORT=8796` on 30 November 2026, with 42 records in the ledger, and its Mavera's state. A
release adds its own and changes none.
"""

import gzip
import json
import re
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from activate import declarations
from activate.kinds import KINDS
from common import settings
from ingest.vendors import klaviyo, sendgrid, wistia
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project

LAYOUTS = sorted((Path(__file__).parents[1] / "layouts").iterdir())
LEDGER_OF = "http://127.0.0.1:8797/mavera/api/v1"  # a ledger belongs to one Mavera; plan sends it no request
DEMOS = sorted((Path(__file__).parents[1] / "demos").iterdir())
DEMO_DAY = date(2026, 11, 30)
DEMO_PORT = 8796  # a ledger belongs to one Mavera, and the port is part of its address
VENDORS = (sendgrid.SENDGRID, wistia.WISTIA, klaviyo.KLAVIYO)
WHOLE_YEAR = {"HISTORY_DAYS": "365"}  # as those versions had it
SENT = {"analyses/viewer-clusters:all", "brand-voices/brand-voice:account"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Sandbox(World(20, 7, date(2026, 11, 21)), limits="off")) as url:
        yield url


@pytest.fixture(params=LAYOUTS, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path, url: str, kept_statements: None) -> Project:
    for packed in request.param.glob("*.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return Project(tmp_path, url, extra={"MAVERA_BASE_URL": LEDGER_OF, **WHOLE_YEAR})


def columns(project: Project) -> dict[str, list[str]]:
    """Return the key of every raw table of a vendor that exists, limited to existing columns."""
    known: dict[str, set[str]] = defaultdict(set)
    for table, column in project.rows(
        "select table_schema || '.' || table_name, column_name from information_schema.columns"
    ):
        known[table].add(column)
    chosen = settings.Settings(_env_file=None)
    tables = [resource.table for source in VENDORS for resource in source.resources(chosen)]
    return {
        table.full_name: [column for column in table.key if column in known[table.full_name]]
        for table in tables
        if table.full_name in known
    }


def keys(project: Project, columns: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the keys of all rows of these tables."""
    return {
        table: project.rows(f"select {', '.join(names)} from {table}") for table, names in columns.items()
    }


def test_what_an_earlier_version_left_is_loaded_on_modelled_and_not_paid_again(kept: Project) -> None:
    columns_before = columns(kept)
    before = keys(kept, columns_before)
    loaded = kept.well("ingest", "sendgrid", "wistia", "klaviyo")
    assert loaded["totals"]["rows_read"] > 0
    # Resources, rows and columns may be new; no old row is lost or duplicated.
    for table, rows in keys(kept, columns(kept)).items():
        assert len(rows) == len(set(rows)), table
    for table, rows in keys(kept, columns_before).items():
        assert set(rows) >= set(before[table]), table
    again = kept.well("ingest", "sendgrid", "wistia", "klaviyo")["totals"]
    assert (again["rows_new"], again["rows_changed"]) == (0, 0)
    # Klaviyo's events have more since, such as the attribution of an order, and are read again automatically.
    (events,) = [
        row for row in loaded["resources"] if row["resource"] == "events" and row["vendor"] == "klaviyo"
    ]
    assert events["deep_at"]
    ((count, attributed),) = kept.rows("select count(*), count(attributions) from raw_klaviyo.events")
    assert count > attributed > 0
    assert kept.well("activate", "ledger", "verify")["rows"] == 6
    kept.well("transform")
    steps = {step["key"]: step["action"] for step in kept.well("activate", "plan")["steps"]}
    assert {steps[key] for key in SENT} == {"leave"}
    assert "create" not in steps.values()


@pytest.fixture(scope="module", params=DEMOS, ids=lambda path: path.stem)
def upgraded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kept_statements: None
) -> Path:
    """A whole demo of an earlier version, loaded on and modeled by this one."""
    folder = tmp_path_factory.mktemp("upgraded")
    with tarfile.open(request.param) as packed:
        packed.extractall(folder, filter="data")
    for file in folder.glob("*.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        raw = folder / "raw"
        warehouse.execute((raw / "schema.sql").read_text(encoding="utf-8"))
        warehouse.execute((raw / "load.sql").read_text(encoding="utf-8").replace("FROM '", f"FROM '{raw}/"))
        warehouse.execute("delete from raw_ops.builds")  # the models were left out, to be built again
    with serving(world_of(folder), DEMO_PORT) as url:
        project = Project(folder, url, today=str(DEMO_DAY), extra=WHOLE_YEAR)
        project.well("ingest")
        project.well("transform")
    return folder


def world_of(folder: Path) -> Sandbox:
    return Sandbox(World(2000, 7, DEMO_DAY), limits="off", state=folder / "mavera.sqlite")


@pytest.fixture
def demo(upgraded: Path, tmp_path: Path) -> Iterator[Project]:
    """A fresh copy of the same, to be changed."""
    folder = shutil.copytree(upgraded, tmp_path / "demo", ignore=shutil.ignore_patterns("raw", "*.gz"))
    with serving(world_of(folder), DEMO_PORT) as url:
        yield Project(folder, url, today=str(DEMO_DAY), extra=WHOLE_YEAR)


def paid_in(planned: Mapping[str, Any]) -> list[str]:
    return [
        step["key"]
        for step in planned["steps"]
        if step["action"] in {"create", "update"} and step["credits_low"]
    ]


def test_an_upgrade_pays_for_nothing_but_numbers_that_were_wrong(demo: Project) -> None:
    planned = demo.well("activate", "plan")
    assert paid_in(planned) == []
    assert len(planned["steps"]) == 42
    assert demo.well("activate", "apply")["credits"] == 0


# --- facts that a version renames, adds and drops ----------------------------------------------------

NUMBERS = ("count", "share", "number", "money")
WORDS = {
    "persona.md.j2": ("", "Their number is {{ facts.added_count }}.\n\n"),
    "voice.md.j2": ("", "Its number is {{ facts.added_count }}.\n\n"),
    "analysis.md.j2": ("Task: ", "Your task: "),
    "study.toml": ('question = """\n', 'question = """\nThink of it. '),
    "generation.toml": ('tone = "', 'tone = "quite '),
}


class Version(NamedTuple):
    """For the facts of one job and kind: the renamed one and the dropped one, with their types."""

    renamed: str
    dropped: str
    declared: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.renamed}_now"

    def of(self, facts: dict[str, Any]) -> dict[str, Any]:
        new = {self.name if name == self.renamed else name: value for name, value in facts.items()}
        del new[self.dropped]
        return {**new, "added_count": 7}

    def counted(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {**facts, "added_count": 9}

    def moved(self, facts: dict[str, Any]) -> dict[str, Any]:
        before = facts[self.name] or 0
        if self.declared[self.renamed] == "share":
            return {**facts, self.name: before - 0.5 if before > 0.5 else before + 0.5}
        return {**facts, self.name: 3 * before + 100}


def renamed_and_dropped(declared: Mapping[str, Any], words: str) -> Version:
    """Facts with words of their own come first: a move of the renamed one changes the text."""
    numbers = [name for name, what in declared.items() if what in NUMBERS]
    others = [name for name, what in declared.items() if what == "word"]
    own = [name for name in numbers if f"if facts.{name} is not none %}}" in words]
    renamed, dropped, *_ = dict.fromkeys([*own, *numbers, *others])
    return Version(renamed, dropped, declared)


def another_version(project: Path) -> dict[tuple[str, str], Version]:
    """Rename a fact of every job and kind in a copy of the project, add one, drop one, change the words."""
    versions = {}
    for folder in (project / "dbt_project" / "models" / "jobs").iterdir():
        if not folder.is_dir():
            continue
        file = folder / f"_{folder.name}.yml"
        text = file.read_text(encoding="utf-8")
        for kind, declared in declarations.read(text).items():
            if not declared.types:  # the findings of the job
                continue
            words = folder / KINDS[kind].words_file
            version = renamed_and_dropped(declared.types, words.read_text(encoding="utf-8"))
            versions[folder.name.replace("_", "-"), kind] = version
            head, model, rest = text.partition(f"  - name: {folder.name}__{kind.replace('-', '_')}\n")
            rest = re.sub(
                rf"( +){version.renamed}: \{{(.*?)(?:, earlier_names: \[(.*)\])?\}}",
                rf"\1{version.name}: {{\2, earlier_names: [{version.renamed}, \3]}}"
                r"\n\1added_count: {type: count, from: vars.small_sample}",
                rest,
                count=1,
            )
            rest = re.sub(rf" +{version.dropped}: \{{.*\n", "", rest, count=1)
            text = head + model + rest
            source = re.sub(
                rf"\bfacts\.{version.renamed}\b", f"facts.{version.name}", words.read_text("utf-8")
            )
            source = re.sub(rf"\bfacts\.{version.dropped}\b", "none", source)
            words.write_text(source.replace(*WORDS[words.name], 1), encoding="utf-8")
        file.write_text(text, encoding="utf-8")
    return versions


def rewrite(
    project: Project,
    versions: Mapping[tuple[str, str], Version],
    change: Callable[[Version, dict[str, Any]], dict[str, Any]],
) -> None:
    """Change the facts of every record in the published copy."""
    with duckdb.connect(str(project.folder / "published.duckdb")) as connection:
        for kind in KINDS:
            model = f"activation.sync_mavera__{kind.replace('-', '_')}"
            rows = connection.execute(f"select record_key, job, facts, fact_steps from {model}").fetchall()
            for key, job, facts, steps in rows:
                version = versions[job, kind]
                named = steps.replace(f'"{version.renamed}"', f'"{version.name}"')
                connection.execute(
                    f"update {model} set facts = ?, fact_steps = ? where record_key = ?",
                    [json.dumps(change(version, json.loads(facts))), named, key],
                )


def test_facts_that_are_renamed_added_or_dropped_are_no_move_and_other_words_buy_nothing(
    demo: Project, tmp_path: Path
) -> None:
    assert demo.well("activate", "apply")["credits"] == 0
    now = {"MAVERA_STUDY_DAYS": "0"}  # no answer is too recent to be requested again
    wrong_before = paid_in(replace(demo, extra=now).well("activate", "plan"))
    code = tmp_path / "code"
    for room in ("activate", "common", "privacy", "dbt_project/models/jobs"):
        shutil.copytree(settings.ROOT / room, code / room)
    versions = another_version(code)
    assert len(versions) == 15
    other = replace(demo, root=code)
    rewrite(demo, versions, Version.of)

    planned = other.well("activate", "plan")
    assert paid_in(planned) == []
    for step in planned["steps"]:
        kind, job = step["key"].split(":")[0].split("/")
        changed = {change["fact"] for change in step["changes"]}
        assert not changed & {"added_count", versions[job, kind].dropped}, step
    other = replace(other, extra=now)
    assert paid_in(other.well("activate", "plan")) == wrong_before
    assert replace(other, extra={}).well("activate", "apply")["credits"] == 0

    # Another fact changes, and Mavera accepts all facts with it; from then on the added one counts.
    rewrite(demo, versions, Version.moved)
    bought = other.well("activate", "apply", "--creations", "100")
    accepted = {result["key"] for result in bought["results"] if result["state"] == "updated"}
    held = {result["key"] for result in bought["results"] if result["state"] == "held"}
    assert accepted | held == {step["key"] for step in planned["steps"]}, bought
    jobs = {f"{kind}/{job}" for job, kind in versions}
    # The study of channels counts the people of the campaigns that it names, and names others: 7 fewer.
    withheld_for_few = {"generations/viewer-follow-ups", "focus-groups/channel-pairs"}
    assert jobs - {key.split(":")[0] for key in accepted} <= withheld_for_few, held
    assert paid_in(other.well("activate", "plan")) == []
    rewrite(demo, versions, Version.counted)
    moved = {step["key"]: step["changes"] for step in other.well("activate", "plan")["steps"]}
    assert {key: moved[key] for key in accepted} == {
        key: [{"fact": "added_count", "before": 7, "after": 9}] for key in accepted
    }
