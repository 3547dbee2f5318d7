"""Personas of other pipelines than the default: chosen by their job, checked, sent, kept up to date."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from activate import engine, records
from activate.errors import RecordsError
from activate.kinds import personas
from activate.ledger import opening
from activate.mavera import Mavera
from activate.plan import Record
from activate.planning import Limits
from activate.run import Outcome
from common import assumptions, settings
from sandbox import mavera as sandbox_mavera
from sandbox.server import Sandbox, serving
from tests import activation

GUIDED = """
pipeline = "intermediate"
type = "B2B"
[fields]
role_segment = ["Shop owner"]
buying_stage = "SOLUTION_AWARE"
decision_role = "ECONOMIC_BUYER"
primary_objectives = ["Spend {{ facts.mean_average_order_value | money(facts.currency) }} well"]
goals = ["Order again", "{% if facts.mean_days_between_orders %}Order more often{% endif %}"]
pains = ["Late parcels"]
triggers = ["An empty shelf"]
channels = ["E-mail"]
proof_types = ["Reviews"]
alternatives = ["The shop next door"]
win_factors = ["Price"]
objections = ["Postage"]
mcda_weights = {price = 5, timeToValue = 3, risk = 2, proof = 4, support = 1}
"""
FREE = """
pipeline = "advanced"
[fields]
age_band = "{{ facts.clv_tier }} of all ages"
values = ["Thrift"]
is_localized = false
"""


class Desk:
    """A Mavera, a ledger, and the words of one job whose personas choose their pipeline."""

    def __init__(self, sandbox: Sandbox, url: str, path: Path) -> None:
        self.sandbox, self.url, self.path = sandbox, url, path
        self.templates = path / "templates"
        shutil.copytree(records.JOBS, self.templates)

    def choose(self, text: str) -> None:
        (self.templates / "clv_tiers" / "persona.toml").write_text(text, encoding="utf-8")

    def record(self, row: activation.Row = activation.TOP, **changes: Any) -> Record:
        published = self.path / "published.duckdb"
        activation.publish(published, (row,))
        ours = settings.Settings(_env_file=None, published_path=published, **changes)
        (record,) = records.load(ours, ["personas"], self.templates)
        return record

    def apply(self, record: Record) -> Outcome:
        ledger = opening.connect(f"sqlite:///{self.path / 'ledger'}", f"{self.url}/mavera/api/v1", write=True)
        client = Mavera(f"{self.url}/mavera/api/v1", sandbox_mavera.KEY, "enterprise")
        return engine.apply([record], ledger, client, ["personas"], Limits(2_000, None, 20, 0))

    def persona(self) -> Any:
        """Return our only persona in full: the list leaves out the results of its pipeline."""
        headers = {"Authorization": f"Bearer {sandbox_mavera.KEY}"}
        path = f"{self.url}/mavera/api/v1/personas"
        rows = requests.get(path, headers=headers, timeout=5).json()["data"]
        (ours,) = [row["id"] for row in rows if row["is_custom"]]
        return requests.get(f"{path}/{ours}", headers=headers, timeout=5).json()


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    sandbox = Sandbox(activation.world(), limits="off", strict=request.param)
    with serving(sandbox) as url:
        yield Desk(sandbox, url, tmp_path)


@pytest.mark.parametrize(
    ("choice", "made", "fields"),
    [
        ("", ("north_star", "B2C"), {}),
        (
            GUIDED,
            ("intermediate", "B2B"),
            {"goals": ["Order again"], "primary_objectives": ["Spend $71 well"]},
        ),
        (FREE, ("advanced", "B2C"), {"age_band": "top of all ages", "is_localized": False}),
    ],
    ids=["north_star", "intermediate", "advanced"],
)
def test_each_pipeline_makes_a_persona_once_and_moved_facts_update_it_for_nothing(
    desk: Desk, choice: str, made: tuple[str, str], fields: dict[str, Any]
) -> None:
    if choice:
        desk.choose(choice)
    assert desk.apply(desk.record()).counts() == {"created": 1}
    persona = desk.persona()
    assert (persona["pipeline_type"], persona["type"]) == made
    assert fields.items() <= persona["details"].items()
    assert desk.apply(desk.record()).counts() == {"unchanged": 1}

    moved = desk.record(activation.but(activation.TOP, clv_tier="middle", mean_average_order_value=80))
    assert desk.apply(moved).counts() == {"updated": 1}
    updated = desk.persona()
    assert (updated["id"], updated["pipeline_type"]) == (persona["id"], persona["pipeline_type"])
    assert updated["description"] == moved.payload["description"]
    changed = {"primary_objectives": ["Spend $80 well"], "age_band": "middle of all ages"}
    assert {name: updated["details"][name] for name in changed if name in fields} == {
        name: value for name, value in changed.items() if name in fields
    }
    assert desk.sandbox.mavera.summary()["credits_spent"] == 300


def test_a_persona_carries_its_reference_and_its_choice_counts(desk: Desk) -> None:
    usual = desk.record().fingerprint
    desk.choose(GUIDED)
    record = desk.record()
    assert record.fingerprint != usual
    assert record.payload["description"].endswith(f"Ref: clv-tiers:top {record.fingerprint[:12]}")


def guided(**changes: Any) -> dict[str, Any]:
    return {"pipeline": "intermediate", "fields": {**GOOD, **changes}}


def advanced(**fields: Any) -> dict[str, Any]:
    return {"pipeline": "advanced", "fields": fields}


GOOD: dict[str, Any] = {
    name: {"text": "x", "list": ["x"], "weights": dict.fromkeys(personas.WEIGHED, 3)}[form]
    for name, form in assumptions.GUIDED.items()
}


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({}, ""),
        ({"type": "B2B"}, ""),
        (guided(), ""),
        ({"pipeline": "advanced"}, ""),
        (
            {"pipline": "advanced"},
            "persona.toml has pipline, it may have fields, pipeline, psychographic, type",
        ),
        ({"pipeline": "basic"}, "basic is none of the pipelines north_star, intermediate, advanced"),
        ({"pipeline": 3}, "3 is none of the pipelines north_star, intermediate, advanced"),
        ({"fields": "goals"}, "fields must be a table, [fields]"),
        ({"type": "B2G"}, "B2G is none of the types B2B, B2C"),
        ({"fields": {"goals": ["x"]}}, "north_star takes no goals"),
        (guided(seniority="x"), "intermediate takes no seniority"),
        (guided(pains="x"), "pains must be a list of texts"),
        (guided(pains=[""]), "pains must be a list of texts"),
        (guided(buying_stage=""), "buying_stage must be a text"),
        (advanced(is_localized="no"), "is_localized must be true or false"),
        ({"pipeline": "intermediate", "fields": {"goals": ["x"]}},
         f"intermediate needs {', '.join(sorted(GOOD.keys() - {'goals'}))}"),
        (advanced(mcda_weights=dict.fromkeys(personas.WEIGHED, 6)),
         f"mcda_weights must give each of {', '.join(personas.WEIGHED)} a whole number from 1 to 5"),
    ],
)  # fmt: skip
def test_a_choice_that_mavera_cannot_take_is_told_before_it_is_sent(
    choice: dict[str, Any], says: str
) -> None:
    assert personas.complaint(choice) == says


def test_a_wrong_choice_holds_the_persona_and_asks_nobody(desk: Desk) -> None:
    desk.choose('pipeline = "basic"')
    outcome = desk.apply(desk.record())
    assert [(result.state, result.text) for result in outcome.results.values()] == [
        ("held", "basic is none of the pipelines north_star, intermediate, advanced")
    ]
    desk.choose('fields = "goals"')
    assert desk.apply(desk.record()).counts() == {"held": 1}
    desk.choose(FREE)
    assert desk.record(mavera_persona_shape="examples").objection.startswith("MAVERA_PERSONA_SHAPE=examples")
    assert desk.sandbox.mavera.summary()["personas"] == 0


def test_nothing_personal_leaves_in_a_field(desk: Desk) -> None:
    desk.choose('pipeline = "advanced"\n[fields]\nvalues = ["Ask ada@example.com"]')
    assert desk.record().objection == "persona.toml.fields.values[0] looks like an e-mail address"


def test_a_choice_that_is_no_toml_is_named(desk: Desk) -> None:
    desk.choose("pipeline: advanced")
    with pytest.raises(RecordsError, match=r"clv_tiers/persona\.toml is not TOML"):
        desk.record()
