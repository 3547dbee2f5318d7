"""Focus groups: asked of existing personas, waited for, paid for once, left to the next run if slow."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activate import drift, engine, records
from activate.errors import NotStarted
from activate.kinds import KINDS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.mavera import Mavera
from activate.plan import Record
from activate.planning import Limits
from activate.run import Outcome
from common import settings
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from tests import activation

STUDY = "focus-groups/product-affinity:P100_P101"
TOP, SKIMMERS = "personas/clv-tiers:top", "personas/viewer-clusters:skimmers"
HASTY = 1
POLL_SECONDS, CEILING_SECONDS = 5, 60


@dataclass
class Lab:
    """A Mavera whose studies take `pauses` of ours, a ledger, and `apply`. Nobody sleeps."""

    sandbox: Sandbox
    url: str
    path: Path
    pauses: int = 2
    waits: list[float] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    most_seconds: float = math.inf

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) >= self.pauses:
            self.sandbox.mavera.study_seconds = self.sandbox.mavera.voice_seconds = 0

    def ledger(self) -> Ledger:
        ledger = opening.connect(f"sqlite:///{self.path / 'ledger'}", f"{self.url}/mavera/api/v1", write=True)
        ledger.now = self.now
        return ledger

    def wanted(
        self,
        personas: tuple[activation.Row, ...],
        studies: tuple[activation.Row, ...],
        voices: tuple[activation.Row, ...] = (),
        analyses: tuple[activation.Row, ...] = (),
        **changes: Any,
    ) -> list[Record]:
        published = self.path / "published.duckdb"
        activation.publish(published, personas, analyses, studies, voices)
        chosen: dict[str, Any] = {"mavera_workspace_id": "ws_sandbox", "mavera_transcripts_may_leave": True}
        chosen |= {"published_path": published, **changes}
        return records.load(settings.Settings(_env_file=None, **chosen), list(KINDS))

    def apply(
        self,
        *studies: activation.Row,
        personas: tuple[activation.Row, ...] = (activation.TOP, activation.SKIMMERS),
        voices: tuple[activation.Row, ...] = (),
        month: int = 20_000,
        kinds: tuple[str, ...] = tuple(KINDS),
        **changes: Any,
    ) -> Outcome:
        self.waits.clear()
        url = f"{self.url}/mavera/api/v1"
        client = Mavera(
            url, sandbox_mavera.KEY, "enterprise", most_seconds=self.most_seconds, sleep=self.pause
        )
        limits = Limits(month, None, 20, 0, 30, POLL_SECONDS, CEILING_SECONDS)
        wanted = [one for one in self.wanted(personas, studies, voices, **changes) if one.kind in kinds]
        return engine.apply(wanted, self.ledger(), client, kinds, limits)

    def counts(self) -> dict[str, int]:
        summary = self.sandbox.mavera.summary()
        return {name: summary[name] for name in ("personas", "focus_groups")}

    def voices(self) -> int:
        return int(self.sandbox.mavera.summary()["brand_voices"])

    def is_paid_once(self) -> bool:
        """Whether Mavera has every record once, and the ledger has every credit."""
        held = activation.references(self.url)
        return set(held.values()) == {1} and self.ledger().spent() == self.credits()

    def credits(self) -> int:
        return int(self.sandbox.mavera.summary()["credits_spent"])

    def posts(self, path: str = "/focus-groups") -> int:
        return sum(entry.method == "POST" and entry.path.endswith(path) for entry in self.sandbox.journal)


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    sandbox = Sandbox(activation.world(), limits="off", strict=request.param)
    sandbox.mavera.study_seconds = sandbox.mavera.voice_seconds = 3_600
    with serving(sandbox) as url:
        yield Lab(sandbox, url, tmp_path)


def numbered(number: int) -> activation.Row:
    return activation.but(activation.PAIR, record_key=f"product-affinity:P{number}_P{number + 1}")


# --- asked once, of existing personas ----------------------------------------------------------------


def test_personas_and_their_study_are_created_in_one_run_and_nothing_in_the_next(lab: Lab) -> None:
    outcome = lab.apply(activation.PAIR)
    assert outcome.counts() == {"created": 3}
    assert outcome.credits == lab.credits()
    (call,) = (call for call in lab.ledger().calls() if call.key == STUDY)
    entries = lab.ledger().entries()
    assert call.payload["persona_ids"] == [entries[TOP].remote_id, entries[SKIMMERS].remote_id]
    assert call.payload["workspace_id"] == "ws_sandbox"
    assert lab.ledger().answer(call.call_id)["results"]["questions"][2]["aggregate"]["nps"] is not None
    requests = len(lab.sandbox.journal)
    assert lab.apply(activation.PAIR).counts() == {"unchanged": 3}
    assert len(lab.sandbox.journal) == requests
    assert lab.is_paid_once()


def test_a_study_is_looked_at_every_few_seconds_until_it_ends(lab: Lab) -> None:
    lab.pauses = 4
    assert lab.apply(activation.PAIR).is_well
    assert lab.waits == [POLL_SECONDS] * 4


def test_a_study_that_takes_too_long_is_left_to_the_next_run_and_not_created_again(lab: Lab) -> None:
    lab.pauses = 10_000
    first = lab.apply(activation.PAIR)
    assert len(lab.waits) == CEILING_SECONDS / POLL_SECONDS
    assert first.results[STUDY].state == "waiting"
    assert first.is_well
    assert lab.ledger().entries()[STUDY].state == "waiting"
    lab.pauses = 1
    second = lab.apply(activation.PAIR)
    assert second.results[STUDY].state == "created"
    assert (second.credits, lab.posts(), lab.counts()["focus_groups"]) == (0, 1, 1)
    assert lab.is_paid_once()


def test_a_study_still_at_work_counts_against_the_budget(lab: Lab) -> None:
    lab.pauses = 10_000
    assert lab.apply(activation.PAIR).credits == lab.ledger().spent() >= lab.credits()


@pytest.mark.parametrize("fault", ["cut-after", "time-out", "broken-json"])
def test_an_answer_lost_after_the_work_is_found_by_its_name(lab: Lab, fault: str) -> None:
    lab.apply()
    lab.sandbox.faults.add(Fault(fault, "mavera", count=1, path="/focus-groups", method="POST"))
    lab.most_seconds = HASTY if fault == "time-out" else math.inf
    assert lab.apply(activation.PAIR).results[STUDY].state == "created"
    assert (lab.posts(), lab.counts()["focus_groups"]) == (1, 1)
    assert lab.is_paid_once()


def test_what_a_killed_run_left_at_work_is_adopted_and_waited_for(lab: Lab) -> None:
    lab.apply()
    lab.pauses = 10_000
    lab.sandbox.faults.add(Fault("cut-after", "mavera", count=1, path="/focus-groups", method="POST"))
    lab.sandbox.faults.add(Fault("500", "mavera", count=5, path="/focus-groups", method="GET", spare=1))
    assert lab.apply(activation.PAIR).results[STUDY].state == "unknown"
    lab.pauses = 1
    second = lab.apply(activation.PAIR)
    assert second.results[STUDY].state == "created"
    assert (lab.posts(), lab.counts()["focus_groups"]) == (1, 1)
    assert lab.is_paid_once()


def test_no_more_than_five_are_at_work_at_once(lab: Lab) -> None:
    lab.pauses = 1
    assert lab.apply(*map(numbered, range(7))).counts() == {"created": 9}
    assert (lab.counts()["focus_groups"], lab.posts()) == (7, 7)  # none was refused


def test_other_requests_are_sent_while_studies_are_at_work(lab: Lab) -> None:
    studies = [numbered(number) for number in range(6)]
    assert lab.apply(*studies, analyses=(activation.CLUSTERS, activation.DEVICES)).is_well
    posts = [entry.path.rpartition("/")[2] for entry in lab.sandbox.journal if entry.method == "POST"]
    assert posts[2:] == ["focus-groups"] * 5 + ["chat"] * 2 + ["focus-groups"]
    assert lab.is_paid_once()


def test_a_sixth_is_held_while_five_take_too_long(lab: Lab) -> None:
    lab.pauses = 10_000
    outcome = lab.apply(*map(numbered, range(6)))
    assert outcome.counts() == {"created": 2, "waiting": 5, "held": 1}
    lab.pauses = 1
    assert lab.apply(*map(numbered, range(6))).counts() == {"unchanged": 2, "created": 6}
    assert lab.is_paid_once()


# --- withheld studies --------------------------------------------------------------------------------


def test_a_held_persona_holds_its_study_with_its_reason(lab: Lab) -> None:
    few = activation.but(activation.TOP, person_count=12)
    outcome = lab.apply(activation.PAIR, personas=(few, activation.SKIMMERS))
    assert outcome.results[STUDY].state == "held"
    assert outcome.results[STUDY].text == f"after {TOP}: 12 people, smallest cohort is 20"
    assert lab.counts() == {"personas": 1, "focus_groups": 0}


def test_a_persona_that_no_row_asks_for_holds_its_study(lab: Lab) -> None:
    outcome = lab.apply(activation.PAIR, personas=(activation.SKIMMERS,))
    assert outcome.results[STUDY].text == f"after {TOP}, which is not in Mavera"


def test_a_persona_that_could_not_be_created_holds_its_study(lab: Lab) -> None:
    lab.apply(personas=(activation.SKIMMERS,))
    lab.sandbox.faults.add(Fault("500", "mavera", count=1, path="/personas", method="POST"))
    outcome = lab.apply(activation.PAIR)
    assert outcome.results[STUDY].text == f"after {TOP}, which is not in Mavera"
    assert lab.counts()["focus_groups"] == 0


@pytest.mark.parametrize("month", [300, 600, 799])
def test_a_budget_that_is_too_small_holds_the_study(lab: Lab, month: int) -> None:
    outcome = lab.apply(activation.PAIR, month=month)
    assert outcome.results[STUDY].state == "held"
    assert lab.counts()["focus_groups"] == 0
    assert lab.credits() <= month


def test_studies_alone_are_sent_where_their_personas_stand(lab: Lab) -> None:
    lab.apply()
    assert lab.apply(activation.PAIR, kinds=("focus-groups",)).counts() == {"created": 1}


def test_a_study_without_a_workspace_is_held_and_says_what_to_set(lab: Lab) -> None:
    outcome = lab.apply(activation.PAIR, mavera_workspace_id=None)
    assert outcome.results[STUDY].text == "a focus group needs MAVERA_WORKSPACE_ID: set it in .env"


def test_a_study_that_mavera_gave_up_is_charged_and_not_asked_again_until_a_person_says_so(lab: Lab) -> None:
    lab.sandbox.mavera.studies_to_fail = 1
    first = lab.apply(activation.PAIR)
    assert first.results[STUDY].state == "failed"
    assert first.credits == lab.credits() == lab.ledger().spent()
    second = lab.apply(activation.PAIR)
    assert second.results[STUDY].state == "held"
    assert second.results[STUDY].text.endswith("settle --forget asks again")
    drift.forget(STUDY, lab.ledger())
    assert lab.apply(activation.PAIR).results[STUDY].state == "created"
    assert lab.ledger().spent() == lab.credits()


# --- answers that still count ------------------------------------------------------------------------


def test_answers_count_for_some_days_although_facts_moved(lab: Lab) -> None:
    lab.apply(activation.PAIR)
    moved = activation.but(activation.PAIR, lift=3.0)
    outcome = lab.apply(moved)
    assert outcome.results[STUDY].state == "unchanged"
    assert outcome.results[STUDY].text == "its facts moved, its results still count"
    assert lab.posts() == 1
    lab.now = lambda: datetime.now(UTC) + timedelta(days=31)
    assert lab.apply(moved).results[STUDY].state == "updated"
    assert lab.counts()["focus_groups"] == 2


def test_other_personas_are_another_study(lab: Lab) -> None:
    lab.apply(activation.PAIR)
    fewer = activation.but(activation.PAIR, reference_keys=["clv-tiers:top"])
    assert lab.apply(fewer).results[STUDY].state == "updated"


def test_a_lost_ledger_is_made_again_with_its_studies(lab: Lab) -> None:
    lab.apply(activation.PAIR)
    (lab.path / "ledger").unlink()
    with pytest.raises(NotStarted, match="settle --from-mavera"):
        lab.apply(activation.PAIR)
    client = Mavera(f"{lab.url}/mavera/api/v1", sandbox_mavera.KEY, "enterprise")
    wanted = lab.wanted((activation.TOP, activation.SKIMMERS), (activation.PAIR,))
    adopted = {key for key, _ in drift.adopt_all(wanted, lab.ledger(), client)}
    assert adopted == {TOP, SKIMMERS, STUDY}
    assert lab.apply(activation.PAIR).counts() == {"unchanged": 3}


def test_a_renamed_field_is_sent_under_its_new_name(lab: Lab) -> None:
    (*_, study) = lab.wanted((), (activation.PAIR,), mavera_study_fields={"respondents": "per_persona"})
    assert study.payload["per_persona"] == 30
    assert "sample_size" not in study.payload
