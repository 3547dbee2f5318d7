"""Mavera's answers in any form: nothing is paid for twice, and the output says what to do."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activate import drift, engine, records
from activate.answers import created_at
from activate.errors import NotUnderstood
from activate.kinds import ANALYSES, KINDS, PERSONAS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.likeness import bears, letters, may_be, reference_in
from activate.mavera import Mavera
from activate.planning import Limits
from activate.reader import Reader
from activate.run import Outcome
from common import settings
from common.pace import retry_after
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.mavera.account import WORKSPACES
from sandbox.mavera.manners import MANNERS
from sandbox.server import Sandbox, serving
from tests import activation

ALL: dict[str, tuple[activation.Row, ...]] = {
    "personas": (activation.TOP, activation.SKIMMERS),
    "analyses": (activation.CLUSTERS, activation.OVERLAPS),
    "studies": (activation.PAIR,),
    "voices": (activation.VOICE,),
    "generations": (activation.FOLLOW_UP,),
}
TOP, SKIMMERS = "personas/clv-tiers:top", "personas/viewer-clusters:skimmers"
CLUSTERS = "analyses/viewer-clusters:all"
COUNT = sum(map(len, ALL.values()))


class Account:
    """A Mavera with adjustable behavior, a ledger, and runs with a person's decisions between them."""

    def __init__(self, sandbox: Sandbox, url: str, path: Path) -> None:
        self.sandbox, self.url, self.path = sandbox, url, path
        self.mavera = sandbox.mavera
        self.mavera.study_seconds = self.mavera.voice_seconds = self.mavera.generation_seconds = 0
        self.fields: dict[str, str] = {}
        self.now = datetime.now(UTC)
        self.options: dict[str, Any] = {}

    def settings(self) -> settings.Settings:
        path = self.path / "published.duckdb"
        return settings.Settings(
            _env_file=None,
            published_path=path,
            mavera_workspace_id=WORKSPACES[0].workspace_id,
            mavera_transcripts_may_leave=True,
            **self.options,
        )

    def wanted(self, **rows: tuple[activation.Row, ...]) -> list[records.Record]:
        activation.publish(self.path / "published.duckdb", **{"personas": (), **rows})
        return records.load(self.settings(), list(KINDS))

    def ledger(self) -> Ledger:
        ledger = opening.connect(f"sqlite:///{self.path / 'ledger'}", "https://here", write=True)
        ledger.now = lambda: self.now
        return ledger

    def client(self) -> Mavera:
        url = f"{self.url}/mavera/api/v1"
        return Mavera(url, sandbox_mavera.KEY, "enterprise", fields=self.fields, sleep=lambda _: None)

    def apply(self, settle: int = 0, most: int | None = None, **rows: tuple[activation.Row, ...]) -> Outcome:
        limits = Limits(100_000, None, 20, settle, poll_ceiling_seconds=5, most_creations=most)
        wanted = self.wanted(**(rows or ALL))
        return engine.apply(wanted, self.ledger(), self.client(), list(KINDS), limits)

    def spoil(self, name: str, path: str, count: int = 1) -> None:
        self.sandbox.faults.add(Fault(name, "mavera", count=count, path=path, method="POST"))

    def charged(self) -> int:
        return int(self.mavera.summary()["credits_spent"])

    def counted(self) -> int:
        """Return the credits in the ledger, in any month."""
        ledger = self.ledger()
        return sum(ledger.spent(run_id) for run_id in {call.run_id for call in ledger.calls()})

    def made(self) -> int:
        """Return the number of paid requests."""
        ((count,),) = self.mavera.query("select count(*) from charges")
        return int(count)

    def lose_the_ledger(self) -> None:
        (self.path / "ledger").unlink()


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    sandbox = Sandbox(activation.world(), limits="off")
    with serving(sandbox) as url:
        yield Account(sandbox, url, tmp_path)


# --- a 2xx is proof of work ----------------------------------------------------------------------------

SILENT = [
    {"no-ids"},
    {"no-ids", "mute-threads"},
    {"no-ids", "mute-threads", "no-thread-ids"},
    {"no-ids", "mute-threads", "no-usage", "short-names", "short-texts"},
    {"empty-answers"},
    {"empty-answers", "mute-threads", "short-names", "short-texts"},
    {"page-answers"},
    {"page-answers", "mute-threads", "cut-names", "escaped-texts"},
]


@pytest.mark.parametrize("manners", SILENT, ids=lambda names: "+".join(sorted(names)))
def test_a_2xx_without_an_id_never_pays_twice(account: Account, manners: set[str]) -> None:
    account.mavera.manners = manners
    for _ in range(4):
        account.apply()
        account.now += timedelta(days=3)
        assert account.charged() <= account.counted()
    calls = [(call.kind, call.record_key) for call in account.ledger().calls()]
    assert len(calls) == len(set(calls)), "something was sent again"
    assert account.made() == len(calls)


def test_an_answer_with_a_thread_and_no_id_is_adopted_under_its_thread(account: Account) -> None:
    account.mavera.manners = {"no-ids", "mute-threads"}
    outcome = account.apply(analyses=(activation.CLUSTERS,))
    assert outcome.results[CLUSTERS].state == "created"
    assert outcome.is_well
    (call,) = account.ledger().calls()
    assert (call.remote_id, call.credits) == (call.thread_id, account.charged())
    assert account.ledger().answer(call.call_id)["content"]
    account.mavera.manners = set()
    assert account.apply(analyses=(activation.CLUSTERS, activation.OVERLAPS)).counts() == {
        "created": 1,
        "unchanged": 1,
    }


def test_an_answer_that_nothing_identifies_is_kept_whole_and_counts_what_it_told(account: Account) -> None:
    account.mavera.manners = {"no-ids", "no-thread-ids", "mute-threads"}
    for _ in range(3):
        outcome = account.apply(analyses=(activation.CLUSTERS,))
        assert outcome.results[CLUSTERS].state == "unknown"
        assert "Mavera answered without an id" in outcome.results[CLUSTERS].text
        account.now += timedelta(days=10)
    (call,) = account.ledger().calls()
    assert account.ledger().answer(call.call_id)["content"]
    assert account.counted() == account.charged() > 0


def test_an_answer_that_tells_no_price_counts_the_highest(account: Account) -> None:
    account.mavera.manners = {"no-ids", "no-thread-ids", "mute-threads", "no-usage"}
    account.apply(analyses=(activation.CLUSTERS,))
    assert account.counted() == KINDS["analyses"].terms.create.high


# --- every kind has a net ------------------------------------------------------------------------------

HIDING = [
    {"short-names", "short-texts"},
    {"cut-names", "short-texts", "flat-texts"},
    {"escaped-texts", "short-names", "short-texts"},
]
PATHS = {
    "personas": ("/personas", activation.SKIMMERS),
    "analyses": ("/mave/chat", activation.CLUSTERS),
    "studies": ("/focus-groups", activation.PAIR),
    "voices": ("/brand-voices", activation.VOICE),
    "generations": ("/generations", activation.FOLLOW_UP),
}


@pytest.mark.parametrize("manners", HIDING, ids=lambda names: "+".join(sorted(names)))
@pytest.mark.parametrize("kind", PATHS)
def test_what_hides_our_reference_is_doubted_and_not_made_again(
    account: Account, kind: str, manners: set[str]
) -> None:
    path, row = PATHS[kind]
    rows = {"personas": (activation.TOP, activation.SKIMMERS)} if kind != "personas" else {}
    account.apply(**(rows or {"personas": (activation.TOP,)}))
    account.mavera.manners = manners
    account.spoil("cut-after", path)
    rows |= {kind: (activation.TOP, row) if kind == "personas" else (row,)}
    made = account.made() + 1
    for _ in range(3):
        outcome = account.apply(**rows)
        account.now += timedelta(days=1)
    assert account.made() == made
    assert outcome.counts()["unknown"] == 1
    (text,) = (result.text for result in outcome.results.values() if result.state == "unknown")
    assert "may be it: python -m activate settle" in text
    (call,) = account.ledger().unknown()
    account.mavera.manners = set()
    assert account.apply(**rows).counts()["adopted"] == 1
    assert account.counted() <= account.charged()
    assert account.made() == made
    assert call.key in account.ledger().entries()


@pytest.mark.parametrize("kind", PATHS)
def test_what_is_flattened_or_escaped_is_found(account: Account, kind: str) -> None:
    path, row = PATHS[kind]
    account.apply(personas=(activation.TOP, activation.SKIMMERS))
    account.mavera.manners = {"flat-texts", "escaped-texts"}
    account.spoil("cut-after", path)
    row = activation.MOBILE if kind == "personas" else row
    rows = {"personas": (activation.TOP, activation.SKIMMERS)}
    rows[kind] = (*rows.get(kind, ()), row)
    outcome = account.apply(**rows)
    assert outcome.is_well, outcome.results
    assert account.counted() == account.charged()


def test_what_the_account_makes_itself_meanwhile_is_no_reason_to_wait(account: Account) -> None:
    account.apply(personas=(activation.TOP,))
    account.spoil("cut-before", "/personas")
    account.apply(settle=300, personas=(activation.TOP, activation.SKIMMERS))
    body = {"pipeline_type": "north_star", "type": "B2C", "name": "Our buyers", "description": "Theirs."}
    PERSONAS.create(account.client(), body)
    outcome = account.apply(personas=(activation.TOP, activation.SKIMMERS))
    assert outcome.counts() == {"created": 1, "unchanged": 1}


@pytest.mark.parametrize(
    ("shown", "sent", "is_form"),
    [
        ("Kettles & pans", "Kettles &amp; pans, by size", True),
        ("Kettles &amp;amp; pa", "Kettles & pans, by size", True),
        ("KETTLES\tand pans", "Kettles\n\nand pans", True),
        ("Kettles…by size", "Kettles & pans, by size", True),
        ("Kettles...", "Kettles & pans", True),
        ("<p>Kettles</p>", "Kettles & pans", True),
        ("Kettles &am", "Kettles & pans", True),
        ("", "Kettles", True),
        ("Pans", "Kettles & pans", False),
        ("Kettles for two", "Kettles & pans", False),
    ],
)
def test_a_form_of_a_text_is_told_from_another_text(shown: str, sent: str, *, is_form: bool) -> None:
    assert may_be(shown, sent) is is_form


def test_a_reference_is_found_anywhere_in_a_text() -> None:
    mark = "Ref: contact-groups:sales/health-care 0123456789ab"
    for text in (f"Words. {mark}", f"Words.\n\n{mark}", f"A title | {mark}", f"{mark} and more", mark):
        for shown in (text, text.replace("/", "&#x2F;"), " ".join(text.split()), text.replace("-", r"\-")):
            assert reference_in(shown) == ("contact-groups:sales/health-care", "0123456789ab"), shown
    assert reference_in("Ref: a:b 0123456789abc") is None
    assert letters("É-mail &amp; SMS") == "émailsms"
    assert bears("Customers: t…", ["Customers: top tier"])
    assert not bears("Custom", ["Customers: top tier"])


# --- a list must be whole before it proves absence -------------------------------------------------------


def test_a_list_that_lacks_what_the_ledger_knows_proves_nothing(account: Account) -> None:
    rows = tuple(
        activation.but(activation.TOP, record_key=f"clv-tiers:t{n}", name=f"Tier {n}") for n in range(4)
    )
    account.apply(personas=rows)
    account.mavera.manners = {"short-lists"}
    account.spoil("cut-after", "/personas")
    for _ in range(3):
        outcome = account.apply(personas=(*rows, activation.SKIMMERS))
        account.now += timedelta(days=1)
        assert outcome.results[SKIMMERS].state == "unknown"
    assert "the list of personas lacks" in outcome.results[SKIMMERS].text
    assert account.made() == 5
    account.mavera.manners = set()
    assert account.apply(personas=(*rows, activation.SKIMMERS)).results[SKIMMERS].state == "adopted"


def test_a_list_that_lags_proves_nothing(account: Account) -> None:
    account.apply(personas=(activation.TOP,))
    account.mavera.list_lag_seconds = 3_600
    account.spoil("cut-after", "/personas")
    for _ in range(3):
        outcome = account.apply(personas=(activation.TOP, activation.SKIMMERS))
        account.now += timedelta(days=1)
        assert outcome.results[SKIMMERS].state == "unknown"
    assert account.made() == 2


# --- recovery must not buy -------------------------------------------------------------------------------

REFORMATTED = [
    {"flat-texts"},
    {"escaped-texts"},
    {"short-listed-texts", "personas-by-list-only"},
    {"short-names", "short-texts"},
    {"cut-names", "short-texts", "escaped-texts", "flat-texts"},
    {"short-names", "short-texts", "mute-threads"},
]


@pytest.mark.parametrize("manners", REFORMATTED, ids=lambda names: "+".join(sorted(names)))
def test_a_lost_ledger_buys_nothing_again_from_a_mavera_that_reformats(
    account: Account, manners: set[str]
) -> None:
    account.apply()
    made = account.made()
    account.lose_the_ledger()
    account.mavera.manners = manners
    wanted = account.wanted(**ALL)
    list(drift.adopt_all(wanted, account.ledger(), account.client()))
    outcome = account.apply()
    muted = "mute-threads" in manners
    assert account.made() == made + (2 if muted else 0), outcome.results  # an empty thread has no name
    if len(account.ledger().entries()) < COUNT:
        assert outcome.undecided
    for match in drift.matches(wanted, account.ledger(), account.client(), list(KINDS)):
        if match.is_clear:
            drift.take(match, account.ledger(), account.client())
    account.apply()
    assert account.made() == made + (2 if muted else 0)


def test_an_object_that_bears_our_name_is_named_and_let_be_where_it_is_not_ours(account: Account) -> None:
    body = {"pipeline_type": "north_star", "type": "B2C", "description": "Written by a script."}
    made = PERSONAS.create(account.client(), {**body, "name": activation.SKIMMERS["name"]})
    rows = {"personas": (activation.TOP, activation.SKIMMERS)}
    outcome = account.apply(**rows)
    assert (outcome.counts(), outcome.undecided) == ({"created": 1, "held": 1}, {SKIMMERS})
    text = outcome.results[SKIMMERS].text
    assert all(word in text for word in (made.remote_id, "activate import", f"--let-be {made.remote_id}"))
    findings = drift.find(account.ledger(), account.client(), ["personas"], 0)
    assert len(list(drift.let_be([made.remote_id], findings, account.ledger()))) == 1
    outcome = account.apply(**rows)
    assert (outcome.counts(), outcome.undecided) == ({"created": 1, "unchanged": 1}, set())


def test_an_earlier_name_of_a_record_is_its_name_too(account: Account) -> None:
    body = {"pipeline_type": "north_star", "type": "B2C", "description": "Written by an older version."}
    PERSONAS.create(account.client(), {**body, "name": "Best customers"})
    (wanted,) = account.wanted(personas=(activation.TOP,))
    renamed = [replace(wanted, earlier_names=("Best customers",))]
    (match,) = drift.matches(renamed, account.ledger(), account.client(), ["personas"])
    assert match.is_clear


# --- write-offs, and the brake ---------------------------------------------------------------------------


def test_what_was_taken_as_lost_counts_until_somebody_decides(account: Account) -> None:
    account.apply(personas=(activation.TOP,))
    account.spoil("cut-before", "/personas")
    rows = {"personas": (activation.TOP, activation.SKIMMERS)}
    account.apply(settle=300, **rows)
    account.apply(**rows)
    assert account.charged() == 600
    assert account.counted() == 900
    assert [call.key for call in account.ledger().written_off()] == [SKIMMERS]
    assert drift.charged(SKIMMERS, 0, account.ledger()) == 1
    assert account.counted() == 600
    assert account.ledger().written_off() == []
    assert account.apply(**rows).counts() == {"unchanged": 2}


def test_a_run_that_would_pay_for_too_much_pays_for_nothing(account: Account) -> None:
    account.apply(personas=(activation.TOP,))
    changed = activation.but(activation.TOP, customer_count=900)
    outcome = account.apply(most=1, personas=(changed, activation.SKIMMERS, activation.MOBILE))
    assert outcome.counts() == {"updated": 1, "not sent": 2}
    assert "apply --creations 2" in outcome.stopped
    assert not outcome.is_well
    assert account.made() == 1
    assert account.apply(most=2, personas=(changed, activation.SKIMMERS, activation.MOBILE)).is_well


def test_a_small_first_send_takes_the_largest_groups(account: Account) -> None:
    limits = Limits(100_000, None, 20, 0, most_creations=1, creations=2)
    wanted = account.wanted(**ALL)
    outcome = engine.apply(wanted, account.ledger(), account.client(), list(KINDS), limits)
    assert outcome.counts()["created"] == 2
    assert outcome.is_well
    assert account.made() == 2


# --- names of fields -------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", ["other-list-key", "envelope"])
def test_another_list_key_and_an_envelope_are_read(account: Account, manner: str) -> None:
    account.mavera.manners = {manner}
    account.spoil("cut-after", "/personas")
    assert account.apply().is_well
    assert account.apply().counts() == {"unchanged": COUNT}
    assert account.counted() == account.charged()


def test_fields_of_other_names_are_named_with_the_setting_that_helps(account: Account) -> None:
    account.mavera.manners = {"other-names"}
    account.fields = {"created_at": "createdOn"}
    assert account.apply().is_well
    account.fields = {}
    account.spoil("cut-after", "/personas")
    outcome = account.apply(personas=(*ALL["personas"], activation.MOBILE))
    assert 'MAVERA_FIELDS={"created_at": "its name there"}' in outcome.stopped or outcome.is_well
    with pytest.raises(NotUnderstood, match="createdOn"):
        created_at(ANALYSES.rows(account.client())[0])


def test_a_row_without_an_id_names_its_fields_and_none_of_its_values() -> None:
    with pytest.raises(NotUnderstood) as raised:
        Reader({}).rows({"data": [{"number": "p1", "name": "Somebody"}]}, "/personas")
    assert "its fields: name, number" in str(raised.value)
    assert "Somebody" not in str(raised.value)
    assert Reader({"id": "number"}).rows({"data": [{"number": "p1"}]}, "/personas") == [
        {"number": "p1", "id": "p1"}
    ]


# --- where it waits or misleads --------------------------------------------------------------------------


def test_results_end_a_focus_group_whatever_its_state_is_called(account: Account) -> None:
    account.mavera.manners = {"other-states"}
    assert account.apply().is_well
    assert account.apply().counts() == {"unchanged": COUNT}


def test_a_state_that_is_unknown_for_days_is_said_and_is_not_well(account: Account) -> None:
    account.mavera.manners = {"endless-states"}
    outcome = account.apply()
    assert outcome.counts()["waiting"] == 2
    assert outcome.is_well
    account.now += timedelta(days=3)
    outcome = account.apply()
    assert not outcome.is_well
    texts = [result.text for result in outcome.results.values() if result.state == "waiting"]
    assert all("has been UNDER_REVIEW for 3 days" in text for text in texts)


def test_the_first_refusal_of_a_shape_ends_its_kind_and_names_the_setting(account: Account) -> None:
    account.mavera.refused_fields = {"pipeline_type"}
    outcome = account.apply()
    refused, after = outcome.results[TOP], outcome.results[SKIMMERS]
    assert refused.state == "failed"
    assert '"Unrecognized key: pipeline_type"' in refused.text
    assert "MAVERA_PERSONA_SHAPE" in refused.text
    assert after.state == "not sent"
    posts = [entry for entry in account.sandbox.journal if entry.method == "POST"]
    assert sum(entry.path.endswith("/personas") for entry in posts) == 1
    assert not any(entry.path.endswith("/focus-groups") for entry in posts)


def test_an_answer_without_text_is_said(account: Account) -> None:
    account.mavera.manners = {"wordless"}
    outcome = account.apply(analyses=(activation.CLUSTERS,))
    assert outcome.results[CLUSTERS].text.endswith("its answer has no text")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("Sat, 21 Nov 2026 00:00:20 GMT", 20),
        ("Fri, 20 Nov 2026 00:00:20 GMT", 0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_each_form(header: str | None, seconds: float | None) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    assert retry_after(header, now) == seconds


def test_every_manner_is_played_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{manner}"' in source for manner in MANNERS)
