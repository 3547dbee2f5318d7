"""The account's own personas: nothing but the paragraph between our two lines ever changes in them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activate import drift, records
from activate.kinds import ENRICHED_PERSONAS, terms
from activate.kinds.enriched_personas import END, FIELD, HEADING, SEED, START, Parts, parts_of
from activate.plan import Record, Step, diff
from common import settings
from sandbox.mavera.personas import BASE_PERSONAS, made_by_hand
from tests import activation, faults
from tests import hazards as h

MARIA = "Maria runs the night shift of three clinics.\n\nShe reads before six, on her phone. "
KEY = "enriched-personas/faults:enriched-personas_0"
ENOUGH = 1_000


class Desk:
    """An account with a persona of its own, a ledger, and the wanted records."""

    def __init__(self, path: Path, text: str = MARIA) -> None:
        self.account = h.Account(path)
        self.persona = self.make("Maria", text)

    def make(self, name: str, text: str) -> str:
        return made_by_hand(self.account.open_mavera(), name, text)

    def wanted(self, generation: int = 1, *, target: str = "", number: int = 0, **changes: Any) -> Record:
        record = h.record("enriched-personas", number, generation, target=target or self.persona)
        return replace(record, **changes)

    def apply(self, *wanted: Record, hazards: h.Hazards = h.CALM, month: int = ENOUGH) -> h.Ended:
        ended: h.Ended = self.account.run(wanted, month, hazards)
        return ended

    def result(self, *wanted: Record, **how: Any) -> tuple[str, str]:
        """Return the state and text of the first result."""
        ended = self.apply(*wanted, **how)
        assert ended.outcome, ended.refusal
        first = next(iter(ended.outcome.results.values()))
        return first.state, first.text

    def body(self, persona: str = "") -> dict[str, Any]:
        found = "select body from objects where object_id = ?"
        ((text,),) = self.account.query(found, persona or self.persona)
        body: dict[str, Any] = json.loads(text)
        return body

    def text(self, persona: str = "") -> str:
        return str(self.body(persona)["description"])

    def parts(self, persona: str = "") -> Parts:
        parts = parts_of(self.text(persona))
        assert parts is not None
        return parts

    def write(self, text: str, persona: str = "") -> None:
        """Let a person write the whole description."""
        self.account.open_mavera().edit_by_hand(persona or self.persona, description=text)

    def drifts(self, policy: Any = "leave") -> list[tuple[str, str]]:
        def looked() -> list[tuple[str, str]]:
            ledger = self.account.ledger(write=True)
            found = drift.find(ledger, self.account.client(), ["personas", "enriched-personas"], 0)
            list(drift.settle(found.drifts, policy, [self.wanted()], ledger, self.account.client()))
            return [(one.key, one.text) for one in found.drifts]

        told: list[tuple[str, str]] = self.account.forked(looked)
        return told

    def is_settled(self, *wanted: Record) -> bool:
        """Whether one more run leaves everything as it is and makes no request."""
        before, ended = self.body(), self.apply(*wanted)
        return (ended.calls, self.body()) == (0, before)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with faults.in_memory() as path:
        yield Desk(path)


# --- text ----------------------------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("aé \n\t.-&") | st.characters(codec="utf-8"), max_size=60)
OURS = f"{START}\nRecord. {HEADING} 7 videos.\n{END}"


@given(TEXTS, TEXTS, st.sampled_from(["enrich", "remove", "write before", "write after"]).map(str))
@example("", "", "enrich")
@example("\n\n", "x", "write after")
def test_whatever_is_done_the_text_outside_stays(text: str, more: str, act: str) -> None:
    parts = parts_of(text)
    assert parts == Parts(text)
    enriched = parts_of(parts.enriched(OURS))
    assert enriched is not None
    assert (enriched.ours, enriched.without()) == (OURS, text)
    before = enriched.before + (more if act == "write before" else "")
    after = enriched.after + (more if act == "write after" else "")
    written = parts_of(before + OURS + after)
    assert written is not None
    again = parts_of(written.enriched(OURS.replace("7", "8")))
    assert again == Parts(before, OURS.replace("7", "8"), after)
    assert again.without() == before.removesuffix("\n\n") + after


@pytest.mark.parametrize(
    "text",
    [
        MARIA + OURS.replace(END, ""),
        MARIA + OURS.replace(START, ""),
        OURS + OURS,
        f"{END}\n{START}",
        OURS.replace("kept current", "Kept  Current"),
        OURS.replace("---", "**"),
        OURS.replace(END, END + END),
    ],
)
def test_lines_that_were_changed_doubled_or_lost_are_a_doubt(text: str) -> None:
    assert parts_of(text) is None


# --- enriching, updating, removing ---------------------------------------------------------------------


def test_a_persona_gets_the_paragraph_and_keeps_every_other_letter(desk: Desk) -> None:
    before = desk.body()
    assert desk.result(desk.wanted()) == ("updated", f"updated {desk.persona}")
    assert desk.text() == f"{MARIA}\n\n{desk.wanted().payload[FIELD]}"
    assert {**desk.body(), "description": MARIA} == before
    assert desk.is_settled(desk.wanted())
    assert desk.account.charged() == desk.account.ledger().spent() == 0


def test_the_text_is_in_the_ledger_before_anything_is_added_to_it(desk: Desk) -> None:
    dies = h.Hazards(death=("before the begin row", "enriched-personas", 1))
    assert desk.apply(desk.wanted(), hazards=dies).was_killed
    ledger = desk.account.ledger()
    assert ledger.original(KEY) == {"id": desk.persona, "name": "Maria", "description": MARIA}
    assert (desk.text(), ledger.calls()) == (MARIA, [])
    assert ledger.chain.verify() == 2
    desk.apply(desk.wanted())
    exported = list(desk.account.ledger().chain.export())
    assert sum(json.dumps(MARIA)[1:-1] in line.replace("\\\\", "\\") for line in exported) == 2


def test_a_persona_can_be_named(desk: Desk) -> None:
    assert desk.result(desk.wanted(target="Maria"))[0] == "updated"
    assert desk.is_settled(desk.wanted(target="Maria"))
    assert desk.is_settled(desk.wanted(target=desk.persona))
    desk.account.open_mavera().edit_by_hand(desk.persona, name="Maria N.")
    assert desk.result(desk.wanted(2, target="Maria"))[0] == "updated"


def test_moved_facts_replace_the_paragraph_alone(desk: Desk) -> None:
    desk.apply(desk.wanted())
    ours = desk.parts().ours
    desk.write(f"New first.\n\n{ours}\n\nNew last.")
    assert desk.drifts() == []
    assert desk.is_settled(desk.wanted())
    assert desk.result(desk.wanted(2))[0] == "updated"
    assert desk.text() == f"New first.\n\n{desk.wanted(2).payload[FIELD]}\n\nNew last."


def test_a_row_that_is_gone_takes_the_paragraph_with_it(desk: Desk) -> None:
    desk.apply(desk.wanted())
    desk.write(desk.text().replace("three clinics", "four clinics"))
    (step,) = desk.account.plan([], ENOUGH).steps
    assert (step.action, step.reason.split(":")[0]) == ("update", f"{SEED} no longer names it")
    assert desk.result() == ("updated", f"updated {desk.persona}")
    assert desk.text() == MARIA.replace("three clinics", "four clinics")
    assert desk.is_settled()
    assert (desk.account.plan([], ENOUGH).unwanted, desk.drifts()) == ((), [])
    assert desk.result(desk.wanted())[0] == "updated"
    assert desk.parts().ours


def test_another_persona_for_the_group_is_enriched_once_the_first_is_restored(desk: Desk) -> None:
    other = desk.make("Tom", "Tom buys late.")
    desk.apply(desk.wanted())
    desk.apply(desk.wanted(target="Tom"))
    assert (desk.text(), desk.text(other)) == (MARIA, "Tom buys late.")
    desk.apply(desk.wanted(target="Tom"))
    assert (desk.text(), bool(desk.parts(other).ours)) == (MARIA, True)


def test_a_persona_moves_to_another_group_in_one_run(desk: Desk) -> None:
    desk.apply(desk.wanted())
    moved = desk.wanted(number=1, target="Maria")
    desk.apply(moved)
    assert desk.text() == f"{MARIA}\n\n{moved.payload[FIELD]}"
    assert desk.is_settled(moved)


def test_no_budget_is_needed(desk: Desk) -> None:
    assert desk.result(desk.wanted(), month=0)[0] == "updated"


def test_nothing_of_a_person_is_ours_to_judge_and_all_that_is_added_is(desk: Desk) -> None:
    desk.write("Ask maria@clinic.example or +1 202 555 0143.")
    assert desk.result(desk.wanted())[0] == "updated"
    ours = desk.wanted().payload[FIELD].replace("What is", "Ask tom@clinic.example what is")
    leaky = desk.wanted(2, payload={FIELD: ours}, fingerprint="other")
    state, text = desk.result(leaky)
    assert (state, "e-mail address" in text) == ("held", True)
    assert desk.text().startswith("Ask maria@clinic.example or +1 202 555 0143.\n\n")


# --- doubt ---------------------------------------------------------------------------------------------


def withheld(desk: Desk, said: str, *wanted: Record) -> None:
    """Check that a run withholds everything for this reason, and that the persona stays as it is."""
    before = desk.body()
    state, text = desk.result(*wanted)
    assert (state, said in text) == ("held", True), text
    assert desk.body() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("She reads before…", "ends with dots"),
        ("She reads before ...\n", "ends with dots"),
        ("Search &amp; rescue", "codes of HTML"),
        ("x" * 19_990, "Mavera takes 20,000"),
        (f"Mine.\n{START}\nnot ours\n{END}", "was edited in Mavera"),
        (f"Mine.\n{START}\n", "does not have each of the lines"),
    ],
)
def test_what_is_uncertain_is_left_alone(desk: Desk, text: str, said: str) -> None:
    desk.write(text)
    withheld(desk, said, desk.wanted())
    assert desk.account.ledger().original(KEY) is None


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("Nobody", '"Nobody" is no persona'),
        (str(BASE_PERSONAS[0]["id"]), "is one of Mavera's base personas"),
        (str(BASE_PERSONAS[0]["name"]), "is one of Mavera's base personas"),
        ("Twin", '2 personas are called "Twin"'),
        ("Record 0 of personas", 'this project made "Record 0 of personas"'),
    ],
)
def test_only_a_persona_of_the_account_itself_is_enriched(desk: Desk, target: str, said: str) -> None:
    desk.make("Twin", "One.")
    desk.make("Twin", "Two.")
    ours = h.record("personas", 0)
    desk.apply(ours)
    ended = desk.apply(desk.wanted(target=target), ours)
    assert ended.outcome
    result = ended.outcome.results[KEY]
    assert (result.state, said in result.text) == ("held", True), result.text


def test_a_persona_that_cannot_be_read_by_its_id_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(h.MANNERS, "by list only", {"personas-by-list-only"})
    before = desk.body()
    state, text = desk.result(desk.wanted(), hazards=h.Hazards(listing="by list only"))
    assert (state, "its whole text is not certain" in text) == ("held", True)
    assert desk.body() == before


def test_a_list_that_shortens_is_not_what_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(h.MANNERS, "short list", {"short-listed-texts"})
    for record in (desk.wanted(target="Maria"), desk.wanted(2, target="Maria")):
        desk.apply(record, hazards=h.Hazards(listing="short list"))
        assert desk.text() == f"{MARIA}\n\n{record.payload[FIELD]}"


@pytest.mark.parametrize("manner", ["flat-texts", "escaped-texts", "short-texts"])
def test_a_mavera_that_shows_texts_otherwise_gets_no_second_paragraph(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    monkeypatch.setitem(h.MANNERS, manner, {manner})
    tom = desk.make("Tom", "Tom's clinic buys late, and on paper.")
    hazards = h.Hazards(listing=manner)
    desk.write("Short.")
    desk.apply(desk.wanted(), hazards=hazards)
    for generation in (1, 2):
        desk.apply(desk.wanted(generation), desk.wanted(number=1, target=tom), hazards=hazards)
        assert (desk.parts().without(), desk.text(tom)) == ("Short.", "Tom's clinic buys late, and on paper.")


def test_a_persons_edit_of_the_paragraph_waits_for_a_decision(desk: Desk) -> None:
    desk.apply(desk.wanted())
    edited = desk.text().replace("What is known", "What we know")
    desk.write(edited)
    assert desk.drifts() == [(KEY, "has another measured paragraph")]
    withheld(desk, "was edited in Mavera", desk.wanted(2))
    withheld(desk, "was edited in Mavera")
    desk.drifts("restore")
    assert desk.result(desk.wanted())[0] == "updated"
    assert desk.text() == f"{MARIA}\n\n{desk.wanted().payload[FIELD]}"
    desk.write(edited)
    desk.drifts("adopt")
    assert (desk.drifts(), desk.is_settled(desk.wanted())) == ([], True)
    assert desk.result(desk.wanted(2))[0] == "updated"
    assert desk.text() == f"{MARIA}\n\n{desk.wanted(2).payload[FIELD]}"


def test_a_paragraph_that_a_person_deleted_is_not_added_again_unasked(desk: Desk) -> None:
    desk.apply(desk.wanted())
    desk.write(MARIA)
    withheld(desk, "was deleted in Mavera", desk.wanted(2))
    desk.drifts("restore")
    assert desk.result(desk.wanted(2))[0] == "updated"
    desk.write(MARIA)
    assert desk.result()[0] == "updated"
    assert (desk.text(), desk.is_settled()) == (MARIA, True)


def test_a_persona_that_was_deleted_is_not_made_again(desk: Desk) -> None:
    desk.apply(desk.wanted())
    desk.account.open_mavera().delete_by_hand(desk.persona)
    assert desk.drifts() == [(KEY, "is gone from Mavera")]
    desk.drifts("restore")
    state, _ = desk.result(desk.wanted(2))
    assert (state, desk.account.charged()) == ("held", 0)


def test_two_rows_for_one_persona_enrich_it_once(desk: Desk) -> None:
    both = (desk.wanted(), desk.wanted(number=1, target="Maria"))
    ended = desk.apply(*both)
    assert ended.outcome
    assert [one.state for one in ended.outcome.results.values()] == ["updated", "held"]
    assert desk.text() == f"{MARIA}\n\n{both[0].payload[FIELD]}"


def test_a_lost_ledger_withholds_until_the_paragraph_is_adopted(desk: Desk) -> None:
    desk.apply(desk.wanted())
    desk.account.remove_ledger()
    withheld(desk, "was edited in Mavera", desk.wanted(2))

    def adopted() -> str:
        ledger = desk.account.ledger(write=True)
        return drift.adopt(desk.wanted(2), ledger, desk.account.client(), desk.persona)

    assert desk.account.forked(adopted) == desk.persona
    assert desk.result(desk.wanted(2))[0] == "updated"
    assert desk.text() == f"{MARIA}\n\n{desk.wanted(2).payload[FIELD]}"


# --- faults and kills ----------------------------------------------------------------------------------

ACTS = ("enrich", "update", "remove")
DEATHS = [death for death in h.DEATHS if death not in {"while polling", "before adopting", "after adopting"}]


def wanted_by(desk: Desk, act: str) -> list[Record]:
    """Bring the desk to where `act` is next; return what is wanted then."""
    if act != "enrich":
        desk.apply(desk.wanted())
    return {"enrich": [desk.wanted()], "update": [desk.wanted(2)], "remove": []}[act]


def is_whole(desk: Desk) -> bool:
    return desk.parts().without() == MARIA


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("death", DEATHS)
def test_a_run_that_is_killed_anywhere_leaves_the_persons_text(desk: Desk, death: str, act: str) -> None:
    wanted = wanted_by(desk, act)
    kind = "" if death.startswith(("while", "told")) else "enriched-personas"
    ended = desk.apply(
        *wanted, hazards=h.Hazards(death=(death, kind or "enriched-personas", 1) if kind else (death, "", 1))
    )
    assert is_whole(desk)
    assert ended.was_killed or ended.outcome
    desk.apply(*wanted)
    expected = f"{MARIA}\n\n{wanted[0].payload[FIELD]}" if wanted else MARIA
    assert (desk.text(), desk.is_settled(*wanted)) == (expected, True)
    assert desk.account.ledger().chain.verify()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("fault", h.FAULTS)
def test_whatever_fails_the_persons_text_stays_and_the_next_run_completes(
    desk: Desk, fault: str, act: str
) -> None:
    wanted = wanted_by(desk, act)
    failing = h.Hazards(faults={("enriched-personas", n): fault for n in (1, 2)}, late_seconds=5)
    desk.apply(*wanted, hazards=failing)
    assert is_whole(desk)
    desk.account.let_pass(60)
    desk.apply(*wanted)
    desk.account.let_pass(60)
    expected = f"{MARIA}\n\n{wanted[0].payload[FIELD]}" if wanted else MARIA
    assert (desk.text(), desk.is_settled(*wanted)) == (expected, True)


def test_a_text_written_while_a_request_is_repeated_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt reads again: what a person writes during the wait is not undone."""
    waits = h.Clock.sleep

    def sleep(self: h.Clock, seconds: float) -> None:
        if seconds >= 1:
            desk.write("Written meanwhile.")
        waits(self, seconds)

    monkeypatch.setattr(h.Clock, "sleep", sleep)
    desk.apply(desk.wanted(), hazards=h.Hazards(faults={("enriched-personas", 1): "429"}))
    assert desk.parts().without() == "Written meanwhile."


# --- plans ---------------------------------------------------------------------------------------------


def step_of(record: Record, *others: Record, ledger: Any = None) -> Step:
    steps = diff([record, *others], ledger or {}, terms(), smallest_cohort=20).steps
    return next(step for step in steps if step.record.key == record.key)


def of_group(**changes: Any) -> tuple[Record, Record]:
    """Return the two records of a mapped group: the persona of ours, and the account's own."""
    ours = replace(h.record("personas", 0), beside="enriched-personas/g", record_key="g")
    own = replace(h.record("enriched-personas", 0, target="Maria"), beside="personas/g", record_key="g")
    return replace(ours, **changes), replace(own, **changes)


def test_a_group_that_is_mapped_buys_no_persona_of_ours() -> None:
    ours, own = of_group()
    step = step_of(ours, own)
    assert (step.action, step.reason) == ("leave", "not bought: enriched-personas/g is enriched instead")
    assert step_of(own, ours).action == "update"
    small = of_group(person_count=12)
    assert [step_of(small[0], small[1]).action, step_of(small[1], small[0]).action] == ["leave", "hold"]


def test_a_persona_of_ours_that_exists_is_kept_current_beside_it(desk: Desk) -> None:
    ours, own = of_group()
    desk.apply(replace(ours, beside=""))
    newer = replace(ours, facts={"generation": 2}, fingerprint="f2")
    assert step_of(newer, own, ledger=desk.account.ledger().entries()).action == "update"


def test_few_people_more_than_in_our_persona_are_not_revealed_by_the_accounts(desk: Desk) -> None:
    ours, own = of_group()
    desk.apply(replace(ours, beside=""))
    more = replace(own, person_count=1_003, facts={"generation": 1, "person_count": 1_003})
    step = step_of(more, ours, ledger=desk.account.ledger().entries())
    assert (step.action, "only 3 people joined or left" in step.reason) == ("hold", True)


def test_a_study_asks_the_enriched_persona(desk: Desk) -> None:
    study = h.record("focus-groups", 0, personas_behind=[KEY])
    desk.apply(desk.wanted(), study)
    ((body,),) = desk.account.query("select body from objects where kind = 'focus group'")
    assert desk.persona in body


def test_rows_become_records_and_point_studies_at_the_accounts_persona(tmp_path: Path) -> None:
    published, jobs = tmp_path / "published.duckdb", tmp_path / "jobs"
    mapped = {**activation.TOP, "persona": "Maria"}
    lost = {
        **activation.SKIMMERS,
        "record_key": "clv-tiers:gone",
        "template": "",
        "withheld_reason": "no job wants it",
    }
    activation.publish(
        published,
        (activation.TOP, activation.SKIMMERS),
        studies=(activation.PAIR,),
        enriched_personas=(mapped, lost),
    )
    for job in ("clv_tiers", "viewer_clusters", "product_affinity"):
        (jobs / job).mkdir(parents=True)
        for file in (records.JOBS / job).iterdir():
            (jobs / job / file.name).write_bytes(file.read_bytes())
    (jobs / "clv_tiers" / "persona.md.j2").write_text(
        f"Buyers.\n\n{HEADING} They are\n{{{{ facts.customer_count }}}}.\n\nHow to reach them: by e-mail.\n"
    )
    for shared in records.JOBS.glob("*.j2"):
        (jobs / shared.name).write_bytes(shared.read_bytes())
    chosen = settings.Settings(_env_file=None, published_path=published, mavera_workspace_id="ws_1")
    loaded = {
        one.key: one for one in records.load(chosen, ["personas", "enriched-personas", "focus-groups"], jobs)
    }
    own = loaded["enriched-personas/clv-tiers:top"]
    name = activation.TOP["name"]
    assert own.payload == {FIELD: f"{START}\n{name}. {HEADING} They are 820.\n{END}"}
    assert (own.target, own.person_count, own.objection) == ("Maria", 820, "")
    assert own.facts == loaded["personas/clv-tiers:top"].facts
    assert loaded["personas/clv-tiers:top"].beside == own.key
    assert loaded["enriched-personas/clv-tiers:gone"].objection == "no job wants it"
    study = loaded["focus-groups/product-affinity:P100_P101"]
    assert study.references == (own.key, "personas/viewer-clusters:skimmers")
    assert study.facts["personas"] == ["personas/clv-tiers:top", "personas/viewer-clusters:skimmers"]


def test_words_without_a_measured_paragraph_are_withheld() -> None:
    record = h.record("enriched-personas", 0)
    assert HEADING in record.payload[FIELD]
    draft = h.Draft("Record", {}, "Buyers.", {}, {}, (), 0)
    payload = ENRICHED_PERSONAS.payload(draft, h.SETTINGS)
    assert HEADING in ENRICHED_PERSONAS.complaint(draft, payload, h.SETTINGS)
