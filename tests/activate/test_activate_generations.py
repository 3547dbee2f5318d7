"""Generations: written by one of Mavera's apps, paid for once, and waited for if the app is slow."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from activate import declarations, drift, engine, records
from activate.errors import NotStarted
from activate.kinds import GENERATIONS, KINDS, generations
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.mavera import Mavera
from activate.plan import FREE, Record
from activate.planning import Limits
from activate.run import Outcome
from common import settings
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from tests import activation

TEXT = "generations/viewer-follow-ups:m1/comparing"
HASTY = 1
EMAIL = """
app = "email-writer"
title = "After {{ facts.media_name }}"
[input]
topic = "What comes after {{ facts.media_name | said }}"
target_audience = "Viewers at the stage: {{ facts.stage }}"
"""
ARTICLE = EMAIL.replace("email-writer", "long-form-article").replace("target_audience", "key_points")


@dataclass
class Desk:
    """A Mavera whose slow apps take `pauses` of ours, a ledger, a template, and `apply`. Nobody sleeps."""

    sandbox: Sandbox
    url: str
    path: Path
    template: str = EMAIL
    pauses: int = 2
    waits: list[float] = field(default_factory=list)
    most_seconds: float = math.inf

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) >= self.pauses:
            self.sandbox.mavera.generation_seconds = 0

    def client(self) -> Mavera:
        url = f"{self.url}/mavera/api/v1"
        return Mavera(url, sandbox_mavera.KEY, "enterprise", most_seconds=self.most_seconds, sleep=self.pause)

    def ledger(self) -> Ledger:
        return opening.connect(f"sqlite:///{self.path / 'ledger'}", f"{self.url}/mavera/api/v1", write=True)

    def wanted(
        self, *texts: activation.Row, personas: tuple[activation.Row, ...] = (), **changes: Any
    ) -> list[Record]:
        published, templates = self.path / "published.duckdb", self.path / "templates"
        activation.publish(published, personas, generations=texts)
        words = templates / "viewer_follow_ups" / "generation.toml"
        words.parent.mkdir(parents=True, exist_ok=True)
        words.write_text(self.template, encoding="utf-8")
        shutil.copy(records.JOBS / declarations.file_of("viewer_follow_ups"), words.parent)
        for row in personas:
            job = row["record_key"].split(":")[0].replace("-", "_")
            (templates / job).mkdir(exist_ok=True)
            (templates / job / "persona.md.j2").write_text("{{ name }}", encoding="utf-8")
            shutil.copy(records.JOBS / declarations.file_of(job), templates / job)
        chosen = settings.Settings(_env_file=None, published_path=published, **changes)
        return records.load(chosen, list(KINDS), templates)

    def apply(
        self,
        *texts: activation.Row,
        personas: tuple[activation.Row, ...] = (),
        month: int = 20_000,
        lasting_days: int = 30,
        **changes: Any,
    ) -> Outcome:
        self.waits.clear()
        limits = Limits(month, None, 20, 0, lasting_days, 5, 60)
        wanted = self.wanted(*texts, personas=personas, **changes)
        return engine.apply(wanted, self.ledger(), self.client(), list(KINDS), limits)

    def sent(self) -> dict[str, Any]:
        """Return the body of the last generation that was sent."""
        return [call for call in self.ledger().calls() if call.kind == "generations"][-1].payload

    def text(self) -> str:
        """Return Mavera's latest text, from the ledger."""
        call = [call for call in self.ledger().calls() if call.kind == "generations"][-1]
        return generations.text_in(self.ledger().answer(call.call_id))

    def posts(self) -> int:
        return sum(
            entry.method == "POST" and entry.path.endswith("/generations") for entry in self.sandbox.journal
        )

    def is_paid_once(self) -> bool:
        """Whether Mavera has every record once, and the ledger has every credit."""
        held = activation.references(self.url)
        spent = self.sandbox.mavera.summary()["credits_spent"]
        return set(held.values()) == {1} and self.ledger().spent() == spent


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    sandbox = Sandbox(activation.world(), limits="off", strict=request.param)
    sandbox.mavera.generation_seconds = 3_600
    with serving(sandbox) as url:
        yield Desk(sandbox, url, tmp_path)


# --- written once ------------------------------------------------------------------------------------


def test_a_text_is_written_once_from_what_it_was_given(desk: Desk) -> None:
    outcome = desk.apply(activation.FOLLOW_UP)
    assert outcome.counts() == {"created": 1}
    assert 10 <= outcome.credits <= 30
    assert "**Subject:** Product tour:" in desk.text()
    assert desk.sent()["title"].startswith("After Product tour | Ref: viewer-follow-ups:m1/comparing ")
    requests = len(desk.sandbox.journal)
    assert desk.apply(activation.FOLLOW_UP).counts() == {"unchanged": 1}
    assert len(desk.sandbox.journal) == requests
    assert desk.is_paid_once()


def test_other_words_do_not_have_a_text_written_again_other_facts_do(desk: Desk) -> None:
    desk.apply(activation.FOLLOW_UP)
    desk.template = EMAIL.replace("What comes after", "More about")
    assert desk.apply(activation.FOLLOW_UP).counts() == {"unchanged": 1}
    moved = activation.but(activation.FOLLOW_UP, stage="deciding")
    assert desk.apply(moved).counts() == {"unchanged": 1}  # the previous text still counts
    assert desk.apply(moved, lasting_days=0).counts() == {"updated": 1}
    assert "Viewers at the stage: deciding" in desk.text()
    assert desk.posts() == 2


def test_apps_are_listed_once_a_run_and_an_id_may_be_spelled_either_way(desk: Desk) -> None:
    desk.template = EMAIL.replace("email-writer", "Email_Writer")
    other = activation.but(activation.FOLLOW_UP, record_key="viewer-follow-ups:m2")
    assert desk.apply(activation.FOLLOW_UP, other).counts() == {"created": 2}
    assert sum(entry.path.endswith("/generation-apps") for entry in desk.sandbox.journal) == 1
    assert desk.sent()["app_id"] == ("email-writer" if desk.sandbox.mavera.strict else "email_writer")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (EMAIL.replace("email-writer", "fax"), "Mavera has no app fax. There are blog-post-generator, "),
        (EMAIL.replace("topic =", "subject ="), "the app email-writer needs topic. Its inputs are topic, "),
        (EMAIL + 'mood = "calm"', "the app email-writer takes no mood. Its inputs are topic, "),
    ],
    ids=["unknown app", "missing input", "unknown input"],
)  # fmt: skip
def test_what_no_app_can_write_fails_with_what_there_is_before_it_is_paid(
    desk: Desk, template: str, said: str
) -> None:
    desk.template = template
    outcome = desk.apply(activation.FOLLOW_UP)
    assert outcome.results[TEXT].state == "failed"
    assert outcome.results[TEXT].text.replace("_", "-").startswith(said.replace("_", "-"))
    assert not outcome.is_well
    assert (desk.posts(), desk.ledger().spent()) == (0, 0)
    desk.template = EMAIL
    assert desk.apply(activation.FOLLOW_UP).counts() == {"created": 1}


# --- authors and readers -----------------------------------------------------------------------------


def test_a_text_is_written_for_the_persona_that_its_row_names(desk: Desk) -> None:
    row = {**activation.FOLLOW_UP, "reference_keys": ["clv-tiers:top"]}
    assert desk.apply(row, personas=(activation.TOP,)).counts() == {"created": 2}
    assert desk.sent()["persona_id"] == desk.ledger().entries()["personas/clv-tiers:top"].remote_id
    assert desk.text().endswith("Written for Loyal Top Spenders.")


def test_a_held_persona_holds_its_text(desk: Desk) -> None:
    row = {**activation.FOLLOW_UP, "reference_keys": ["clv-tiers:top"]}
    outcome = desk.apply(row, personas=(activation.but(activation.TOP, person_count=12),))
    assert outcome.counts() == {"held": 2}
    assert desk.posts() == 0


def test_a_text_has_one_persona_at_most(desk: Desk) -> None:
    row = {**activation.FOLLOW_UP, "reference_keys": ["clv-tiers:top", "viewer-clusters:skimmers"]}
    outcome = desk.apply(row, personas=(activation.TOP, activation.SKIMMERS))
    assert outcome.results[TEXT].text == "it has 2 personas, Mavera takes 0 to 1"


def voice_of(desk: Desk, voice_id: str) -> str:
    """Create a brand voice in the sandbox, at no cost."""
    made = dict.fromkeys(("created_at", "edited_at"), "2026-01-01T00:00:00Z")
    voice = {
        "id": voice_id,
        "label": f"Voice {voice_id}",
        "workspace_id": "ws_sandbox",
        "fails": False,
        **made,
    }
    with desk.sandbox.mavera.state:
        desk.sandbox.mavera.save("brand voice", voice)
    return voice_id


def test_the_brand_voice_of_the_settings_is_used_and_is_no_part_of_the_fingerprint(desk: Desk) -> None:
    voice = voice_of(desk, "bv_settings")
    desk.apply(activation.FOLLOW_UP, mavera_brand_voice_id=voice)
    assert desk.text().endswith("In the voice of Voice bv_settings.")
    assert desk.apply(activation.FOLLOW_UP).counts() == {"unchanged": 1}


def test_the_newest_brand_voice_of_the_ledger_is_used_unless_the_settings_name_another(desk: Desk) -> None:
    wanted = {"facts": {}, "payload": {}, "fingerprint": "f", "price": FREE, "job": "j"}
    for voice in ("bv_older", "bv_newer"):
        call = desk.ledger().begin(
            "r", kind="brand-voices", record_key=f"j:{voice}", action="create", **wanted
        )
        desk.ledger().end(call, "done", remote_id=voice_of(desk, voice), credits_spent=0)
    desk.apply(activation.FOLLOW_UP)
    assert desk.sent()["brand_voice_id"] == "bv_newer"
    moved = activation.but(activation.FOLLOW_UP, stage="deciding")
    desk.apply(moved, lasting_days=0, mavera_brand_voice_id=voice_of(desk, "bv_settings"))
    assert desk.sent()["brand_voice_id"] == "bv_settings"


# --- slow apps, lost answers -------------------------------------------------------------------------


def test_an_app_that_takes_its_time_is_asked_again_until_its_text_is_there(desk: Desk) -> None:
    desk.template, desk.pauses = ARTICLE, 4
    assert desk.apply(activation.FOLLOW_UP).counts() == {"created": 1}
    assert desk.waits == [5] * 4
    assert '- topic: What comes after "Product tour"' in desk.text()
    assert desk.is_paid_once()


def test_an_app_that_takes_too_long_is_left_to_the_next_run(desk: Desk) -> None:
    desk.template, desk.pauses = ARTICLE, 10_000
    first = desk.apply(activation.FOLLOW_UP)
    assert first.counts() == {"waiting": 1}
    assert first.is_well
    desk.pauses = 1
    second = desk.apply(activation.FOLLOW_UP)
    assert (second.counts(), second.credits, desk.posts()) == ({"created": 1}, 0, 1)
    assert desk.is_paid_once()


@pytest.mark.parametrize("fault", ["cut-after", "time-out", "broken-json"])
@pytest.mark.parametrize("template", [EMAIL, ARTICLE], ids=["at once", "slowly"])
def test_an_answer_lost_after_the_work_is_found_by_its_title(desk: Desk, fault: str, template: str) -> None:
    desk.apply(activation.but(activation.FOLLOW_UP, record_key="viewer-follow-ups:m2"))
    desk.template = template
    desk.sandbox.faults.add(Fault(fault, "mavera", count=1, path="/generations", method="POST"))
    desk.most_seconds = HASTY if fault == "time-out" else math.inf
    assert desk.apply(activation.FOLLOW_UP).results[TEXT].state == "created"
    assert "Product tour" in desk.text()
    assert desk.posts() == 2
    assert set(activation.references(desk.url).values()) == {1}


def test_what_a_killed_run_left_is_adopted_for_nothing(desk: Desk) -> None:
    desk.apply(personas=(activation.TOP,))  # so that the next run sends without asking first
    desk.sandbox.faults.add(Fault("cut-after", "mavera", count=1, path="/generations", method="POST"))
    desk.sandbox.faults.add(Fault("500", "mavera", count=5, path="/generations", method="GET", spare=1))
    assert desk.apply(activation.FOLLOW_UP).results[TEXT].state == "unknown"
    second = desk.apply(activation.FOLLOW_UP)
    assert (second.results[TEXT].state, second.credits, desk.posts()) == ("adopted", 0, 1)
    assert desk.is_paid_once()


@pytest.mark.parametrize(("fault", "state"), [("429", "created"), ("500", "unknown")])
def test_a_refusal_is_waited_out_and_a_failure_is_looked_up(desk: Desk, fault: str, state: str) -> None:
    desk.apply(personas=(activation.TOP,))
    desk.sandbox.faults.add(Fault(fault, "mavera", count=1, path="/generations", method="POST"))
    limits = Limits(20_000, None, 20, 300)
    wanted = [one for one in desk.wanted(activation.FOLLOW_UP) if one.kind == "generations"]
    outcome = engine.apply(wanted, desk.ledger(), desk.client(), list(KINDS), limits)
    assert outcome.results[TEXT].state == state


def test_no_credits_left_stops_the_run_and_nothing_is_unknown(desk: Desk) -> None:
    desk.sandbox.mavera.balance = 5
    outcome = desk.apply(activation.FOLLOW_UP)
    assert outcome.is_out_of_credits
    assert desk.ledger().unknown() == []


def test_a_lost_ledger_is_made_again_with_its_texts(desk: Desk) -> None:
    desk.apply(activation.FOLLOW_UP)
    (desk.path / "ledger").unlink()
    with pytest.raises(NotStarted, match="settle --from-mavera"):
        desk.apply(activation.FOLLOW_UP)
    wanted = desk.wanted(activation.FOLLOW_UP)
    assert [key for key, _ in drift.adopt_all(wanted, desk.ledger(), desk.client())] == [TEXT]
    assert desk.apply(activation.FOLLOW_UP).counts() == {"unchanged": 1}


def test_a_person_may_say_which_text_it_is(desk: Desk) -> None:
    desk.apply(activation.FOLLOW_UP)
    remote_id = str(desk.ledger().entries()[TEXT].remote_id)
    (record,) = desk.wanted(activation.FOLLOW_UP)
    drift.forget(TEXT, desk.ledger())
    assert drift.adopt(record, desk.ledger(), desk.client(), remote_id) == remote_id
    assert desk.apply(activation.FOLLOW_UP).counts() == {"unchanged": 1}


# --- contents of a template --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (EMAIL.replace('app = "email-writer"', ""), "a generation needs app"),
        (EMAIL.replace("title", "name"), "a generation takes no name"),
        ('app = "email-writer"\ntitle = "x"', "a generation needs input"),
        (EMAIL + f'tone = "{"x" * 20_001}"', "its input has 20,"),
    ],
)
def test_a_template_that_asks_for_no_text_holds_its_record(desk: Desk, template: str, said: str) -> None:
    desk.template = template
    (record,) = desk.wanted(activation.FOLLOW_UP)
    assert record.objection.startswith(said)


def test_a_fact_cannot_change_what_is_asked_for(desk: Desk) -> None:
    tricky = 'Tour"\napp = "x" {{ 7 * 7 }} [input]'
    (record,) = desk.wanted(activation.but(activation.FOLLOW_UP, media_name=tricky))
    assert record.payload["app_id"] == "email-writer"
    assert record.payload["input_data"].keys() == {"topic", "target_audience"}
    assert "{{ 7 * 7 }}" in record.payload["input_data"]["topic"]


def test_a_personal_fact_holds_a_text(desk: Desk) -> None:
    (record,) = desk.wanted(activation.but(activation.FOLLOW_UP, media_name="ada@example.com"))
    assert record.objection == "facts.media_name looks like an e-mail address"


def test_a_long_title_gives_way_to_the_reference_and_a_long_key_holds_its_record(desk: Desk) -> None:
    desk.template = EMAIL.replace("After", "After " + 100 * "x")
    (record,) = desk.wanted(activation.FOLLOW_UP)
    assert len(record.payload["title"]) == 100
    assert records.MARKER.search(record.payload["title"])
    (record,) = desk.wanted({**activation.FOLLOW_UP, "record_key": f"viewer-follow-ups:{100 * 'x'}"})
    assert record.objection == "its record key leaves no room for it in a title of 100 characters"


@pytest.mark.parametrize(
    ("listed", "inputs"),
    [
        ({"input_fields": [{"name": "topic", "required": True}, {"key": "x"}]}, {"topic": True, "x": False}),
        ({"input_schema": {"topic": {"required": True}, "tone": "text"}}, {"topic": True, "tone": False}),
        ({"input_data": ["topic", "tone"]}, {"topic": False, "tone": False}),
        ({"input_fields": [{"label": "Topic"}]}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_inputs_of_an_app_are_read_in_each_way_that_they_may_be_listed(
    listed: dict[str, Any], inputs: dict[str, bool] | None
) -> None:
    app = generations.app_in({"id": "email", **listed})
    assert app == ("email", inputs)
    assert generations.unfit([app], "email", {"topic": "x"}) == ""


@pytest.mark.parametrize("body", [{"output": "", "content": "a"}, {"markdown": "a"}, {"output": "a"}])
def test_a_text_is_taken_from_the_first_field_that_has_one(body: dict[str, Any]) -> None:
    assert (generations.text_in(body), GENERATIONS.answered({"id": "gen_1", **body}).state) == ("a", "done")
    assert GENERATIONS.answered({"id": "gen_1", "status": "FAILED"}).state == "failed"
