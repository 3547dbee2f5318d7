"""Lost answers, refusals and bad lists: the run continues correctly and pays for nothing twice."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from activate import drift, engine, records
from activate.answers import credits_in
from activate.errors import NotUnderstood, Refused, TryAgain
from activate.kinds import KINDS, PERSONAS
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.mavera import Mavera, path_to
from activate.planning import Limits
from activate.run import Outcome, Result
from common import settings
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from tests import activation

TOP, SKIMMERS = "personas/clv-tiers:top", "personas/viewer-clusters:skimmers"
CLUSTERS = "analyses/viewer-clusters:all"
HASTY = 1


@dataclass
class Account:
    """A Mavera with faults to switch on, a ledger that already has one row, and `apply`."""

    sandbox: Sandbox
    url: str
    path: Path
    waits: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    lines: list[Result] = field(default_factory=list)
    tell: Callable[[Result], None] = lambda _: None
    most_seconds: float = math.inf

    def spoil(
        self, name: str, path: str = "", count: int | None = 1, method: str = "POST", spare: int = 0
    ) -> None:
        self.sandbox.faults.add(Fault(name, "mavera", count=count, path=path, method=method, spare=spare))
        if name == "time-out":  # otherwise a slow machine would abandon other calls
            self.most_seconds = HASTY

    def client(self, tier: str = "enterprise") -> Mavera:
        base_url = f"{self.url}/mavera/api/v1"
        return Mavera(
            base_url, sandbox_mavera.KEY, tier, most_seconds=self.most_seconds, sleep=self.waits.append
        )

    def ledger(self) -> Ledger:
        return opening.connect(f"sqlite:///{self.path / 'ledger'}", f"{self.url}/mavera/api/v1", write=True)

    def apply(
        self, *personas: activation.Row, analyses: tuple[activation.Row, ...] = (), settle: int = 300
    ) -> Outcome:
        published = self.path / "published.duckdb"
        activation.publish(published, personas, analyses)
        wanted = records.load(settings.Settings(_env_file=None, published_path=published), list(KINDS))
        limits = Limits(month=20_000, run=None, smallest_cohort=20, settle_seconds=settle)
        self.lines.clear()

        def tell(result: Result) -> None:
            self.lines.append(result)
            self.tell(result)

        return engine.apply(
            wanted, self.ledger(), self.client(), list(KINDS), limits, tell=tell, say=self.said.append
        )

    def credits(self) -> int:
        return int(self.sandbox.mavera.summary()["credits_spent"])

    def is_true(self, *wanted: str) -> bool:
        """Whether Mavera has each record once, and the ledger has each of them and every credit."""
        entries = self.ledger().entries()
        return (
            activation.references(self.url) == Counter(key.split("/")[1] for key in wanted)
            and {key for key, entry in entries.items() if entry.state == "done"} == set(wanted)
            and self.ledger().spent() == self.credits()
        )


def small_sandbox() -> Sandbox:
    return Sandbox(activation.world(), limits="off")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    sandbox = small_sandbox()
    with serving(sandbox) as url:
        begun = Account(sandbox, url, tmp_path)
        begun.apply(activation.TOP)
        yield begun


# --- answers that are lost ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut-after", "time-out", "broken-json"])
@pytest.mark.parametrize("kind", ["personas", "analyses"])
def test_an_answer_lost_after_the_work_is_found_at_once(account: Account, fault: str, kind: str) -> None:
    account.spoil(fault, "/personas" if kind == "personas" else "/mave/chat")
    if kind == "personas":
        outcome, key = account.apply(activation.TOP, activation.SKIMMERS), SKIMMERS
    else:
        outcome, key = account.apply(activation.TOP, analyses=(activation.CLUSTERS,)), CLUSTERS
    assert outcome.results[key].state == "created"
    assert outcome.results[key].text.endswith("its answer was lost")
    assert outcome.is_well
    assert account.is_true(TOP, key)


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (500, activation.SKIMMERS),
        (500, activation.CLUSTERS),
        (503, activation.SKIMMERS),
        (408, activation.SKIMMERS),
    ],
    ids=["500 persona", "500 analysis", "503 persona", "408 persona"],
)
def test_a_failure_after_the_work_is_found_at_once(tmp_path: Path, status: int, row: activation.Row) -> None:
    spoiled = Spoiled(small_sandbox(), status)
    with serving(spoiled) as url:  # type: ignore[arg-type]
        account = Account(spoiled.sandbox, url, tmp_path)
        personas, analyses = ((row,), ()) if row is activation.SKIMMERS else ((), (row,))
        assert account.apply(*personas, analyses=analyses).counts() == {"created": 1}
        assert account.ledger().spent() == account.credits()
    assert spoiled.answered == 1


class Spoiled:
    """The sandbox behind a gateway that replaces the answer to every successful POST."""

    def __init__(self, sandbox: Sandbox, status: int) -> None:
        self.sandbox = sandbox
        self.status = status
        self.answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def spoil(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                message["status"] = self.status
                self.answered += 1
            await send(message)

        await self.sandbox(scope, receive, spoil)


def test_half_a_character_in_an_answer_jams_no_ledger(tmp_path: Path) -> None:
    cut = Cut(small_sandbox())
    with serving(cut) as url:  # type: ignore[arg-type]
        account = Account(cut.sandbox, url, tmp_path)
        assert account.apply(activation.TOP).counts() == {"created": 1}
        account.spoil("cut-after", "/personas")
        lost = account.apply(activation.TOP, activation.SKIMMERS).results[SKIMMERS]
        assert lost.text.endswith("its answer was lost")
        made, found = account.ledger().calls()
        assert {account.ledger().answer(call.call_id)["summary"] for call in (made, found)} == {"cut ?"}
        drift.forget(TOP, account.ledger())
        published = settings.Settings(_env_file=None, published_path=tmp_path / "published.duckdb")
        wanted = {record.key: record for record in records.load(published, ["personas"])}
        assert drift.adopt(wanted[TOP], account.ledger(), account.client(), str(made.remote_id))
        assert account.apply(activation.TOP, activation.SKIMMERS).counts() == {"unchanged": 2}
        assert account.ledger().chain.verify() > 0


class Cut:
    """The sandbox with a text truncated within a character in each object of its answers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def cut(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, text) for name, text in message["headers"] if name != b"content-length"]
                message = {**message, "headers": headers}
            elif body := message.get("body"):
                message = {**message, "body": body.replace(b'{"id":', b'{"summary":"cut \\ud83d","id":')}
            await send(message)

        await self.sandbox(scope, receive, cut)


@pytest.mark.parametrize("fault", ["cut-before", "500", "503"])
def test_what_cannot_be_found_is_not_sent_again_while_mavera_may_be_at_work(
    account: Account, fault: str
) -> None:
    account.spoil(fault, "/personas")
    first = account.apply(activation.TOP, activation.SKIMMERS)
    assert first.results[SKIMMERS].state == "unknown"
    second = account.apply(activation.TOP, activation.SKIMMERS)
    assert second.results[SKIMMERS].state == "unknown"
    assert "no answer yet; written off in " in second.results[SKIMMERS].text
    assert not second.is_well
    assert account.sandbox.mavera.summary()["personas"] == 1


@pytest.mark.parametrize("fault", ["cut-before", "500", "503"])
def test_what_cannot_be_found_is_sent_again_once_that_time_is_over(account: Account, fault: str) -> None:
    account.spoil(fault, "/personas")
    account.apply(activation.TOP, activation.SKIMMERS)
    outcome = account.apply(activation.TOP, activation.SKIMMERS, settle=0)
    assert outcome.counts() == {"created": 1, "unchanged": 1}
    assert account.ledger().spent() == account.credits() + 300
    drift.charged(SKIMMERS, 0, account.ledger())
    assert account.is_true(TOP, SKIMMERS)


def test_an_unknown_call_is_held_against_the_budget_at_its_highest_price(account: Account) -> None:
    account.spoil("500", "/personas")
    account.apply(activation.TOP, activation.SKIMMERS)
    assert account.ledger().spent() == account.credits() + 300


def test_what_a_killed_run_left_in_mavera_is_adopted_for_nothing(account: Account) -> None:
    account.spoil("cut-after", "/personas")
    account.spoil("500", "/personas", count=5, method="GET", spare=1)  # the search for the answer fails too
    first = account.apply(activation.TOP, activation.SKIMMERS)
    assert first.results[SKIMMERS].state == "unknown"
    assert first.stopped
    second = account.apply(activation.TOP, activation.SKIMMERS)
    assert second.results[SKIMMERS].state == "adopted"
    assert (second.credits, second.is_well) == (0, True)
    assert account.said == ["resuming: the last run stopped after 0 of 1"]
    assert account.is_true(TOP, SKIMMERS)


def test_what_was_lost_is_adopted_also_when_its_facts_have_moved_since(account: Account) -> None:
    account.spoil("cut-after", "/personas")
    account.spoil("500", "/personas", count=5, method="GET", spare=1)
    account.apply(activation.TOP, activation.SKIMMERS)
    outcome = account.apply(activation.TOP, activation.but(activation.SKIMMERS, mean_watched_share=0.31))
    assert [line.state for line in account.lines] == ["adopted", "updated"]
    assert outcome.is_well
    assert account.is_true(TOP, SKIMMERS)


def test_what_was_lost_is_looked_up_also_when_no_row_asks_for_it_any_more(account: Account) -> None:
    account.spoil("cut-after", "/personas")
    account.spoil("500", "/personas", count=5, method="GET", spare=1)
    account.apply(activation.TOP, activation.SKIMMERS)
    outcome = account.apply(activation.TOP)
    assert outcome.counts() == {"unchanged": 1}
    assert account.is_true(TOP, SKIMMERS)


def test_an_update_whose_answer_was_lost_is_simply_sent_again(account: Account) -> None:
    changed = activation.but(activation.TOP, customer_count=830)
    account.spoil("cut-after", "/personas", method="PATCH")
    outcome = account.apply(changed)
    assert outcome.counts() == {"updated": 1}
    assert account.is_true(TOP)


def test_a_new_persona_of_the_same_name_without_our_reference_waits_for_a_person(account: Account) -> None:
    account.spoil("500", "/personas")
    account.apply(activation.TOP, activation.SKIMMERS)
    body = {"pipeline_type": "north_star", "type": "B2C", "description": "Rewritten by Mavera."}
    made = PERSONAS.create(account.client(), {**body, "name": "Skimmers: sample a lot, finish little"})
    outcome = account.apply(activation.TOP, activation.SKIMMERS, settle=0)
    assert outcome.results[SKIMMERS].state == "unknown"
    assert outcome.results[SKIMMERS].text.startswith(f"{made.remote_id} is newer and may be it: ")


def test_a_thread_in_which_mave_has_not_answered_is_waited_for(account: Account) -> None:
    thread = {"id": "mave_thread_1", "created_at": "2099-01-01T00:00:00Z", "title": "", "credits_used": 12}
    account.spoil("500", "/mave/chat")
    account.apply(activation.TOP, analyses=(activation.CLUSTERS,))
    (call,) = account.ledger().unknown()
    question = {"id": "msg_1", "role": "user", "content": call.payload["message"]}
    reply = {"id": "msg_2", "role": "assistant", "content": "Done."}
    for messages, state in (([question], "unknown"), ([question, reply], "adopted")):
        pages = [{"data": [thread], "has_more": False}, {**thread, "messages": messages}]
        with scripted(account, pages) as outcome:
            assert outcome.results[CLUSTERS].state == state
    assert account.ledger().calls()[-1].credits == 12


def test_an_answer_lost_within_a_thread_is_found_there_with_its_own_credits(account: Account) -> None:
    account.apply(analyses=(activation.CLUSTERS,))
    account.spoil("cut-after", "/mave/chat")
    moved = activation.but(activation.CLUSTERS, viewer_count=2_000)
    outcome = account.apply(analyses=(moved,))
    assert outcome.results[CLUSTERS].state == "updated"
    first, second = account.ledger().calls()[1:]
    assert (second.thread_id, second.remote_id != first.remote_id) == (first.thread_id, True)
    assert activation.references(account.url)["viewer-clusters:all"] == 2
    assert account.ledger().spent() == account.credits()


def delete_thread(account: Account, thread_id: str | None) -> None:
    requests.delete(
        f"{account.url}/mavera/api/v1/mave/threads/{thread_id}",
        headers={"Authorization": f"Bearer {sandbox_mavera.KEY}"},
        timeout=10,
    ).raise_for_status()


def test_an_answer_lost_in_a_thread_that_is_gone_is_left_to_a_person(account: Account) -> None:
    account.apply(analyses=(activation.CLUSTERS,))
    moved = activation.but(activation.CLUSTERS, viewer_count=2_000)
    account.spoil("500", "/mave/chat")
    account.apply(analyses=(moved,))
    delete_thread(account, account.ledger().calls()[-2].thread_id)
    outcome = account.apply(analyses=(moved,), settle=0)
    assert outcome.stopped == ""
    assert outcome.results[CLUSTERS].state == "unknown"
    assert "is gone from Mavera: python -m activate settle decides" in outcome.results[CLUSTERS].text


def test_a_conversation_that_is_gone_begins_anew(account: Account) -> None:
    account.apply(analyses=(activation.CLUSTERS,))
    asked = account.ledger().calls()[-1]
    delete_thread(account, asked.thread_id)
    account.apply(analyses=(activation.but(activation.CLUSTERS, viewer_count=2_000),))
    assert account.said == [f"{CLUSTERS}: {asked.thread_id} is gone from Mavera, a new thread begins"]
    assert account.ledger().calls()[-1].thread_id not in {None, asked.thread_id}


@contextmanager
def scripted(account: Account, pages: list[Any], settle: int = 0) -> Iterator[Outcome]:
    """Apply against a Mavera that answers with `pages`, for the ledger of `account`."""
    published = account.path / "published.duckdb"
    wanted = records.load(settings.Settings(_env_file=None, published_path=published), list(KINDS))
    limits = Limits(20_000, None, 20, settle)
    with answering(*pages) as client:
        yield engine.apply(wanted, account.ledger(), client, list(KINDS), limits)


# --- answers that say no -----------------------------------------------------------------------------


def test_a_create_is_tried_again_where_no_answer_can_have_been_produced(account: Account) -> None:
    account.spoil("429", "/personas", count=3)
    assert account.apply(activation.TOP, activation.SKIMMERS).is_well
    assert account.waits
    assert account.is_true(TOP, SKIMMERS)


def test_an_edit_is_tried_again_whatever_became_of_it(account: Account) -> None:
    account.spoil("503", "/personas", count=3, method="PATCH")
    assert account.apply(activation.but(activation.TOP, customer_count=830)).is_well
    assert account.waits
    assert account.is_true(TOP)


def test_a_429_is_waited_out_for_as_long_as_it_says(account: Account) -> None:
    with answering(
        JSONResponse({}, 429, {"Retry-After": "7"}), page("a"), sleep=account.waits.append
    ) as client:
        assert len(PERSONAS.rows(client)) == 1
    assert account.waits == [7]


@pytest.mark.parametrize(
    ("fault", "method", "stopped", "counts"),
    [
        ("503", "", "503 service_unavailable", {"unchanged": 1, "not sent": 2}),
        ("429", "POST", "429 rate_limit_exceeded", {"unchanged": 1, "failed": 1, "not sent": 1}),
    ],
)
def test_a_mavera_that_stays_away_stops_the_run_and_the_next_one_sends_the_rest(
    account: Account, fault: str, method: str, stopped: str, counts: dict[str, int]
) -> None:
    account.spoil(fault, count=5, method=method)
    outcome = account.apply(activation.TOP, activation.SKIMMERS, activation.MOBILE)
    assert outcome.counts() == counts
    assert stopped in outcome.stopped
    assert account.apply(activation.TOP, activation.SKIMMERS, activation.MOBILE).counts()["created"] == 2


def test_a_mavera_that_cannot_be_reached_leaves_nothing_unknown(account: Account, tmp_path: Path) -> None:
    published = account.path / "published.duckdb"
    activation.publish(published, (activation.SKIMMERS,))
    wanted = records.load(settings.Settings(_env_file=None, published_path=published), ["personas"])
    nowhere = Mavera("http://127.0.0.1:9/api/v1", "key", sleep=account.waits.append)
    limits = Limits(20_000, None, 20, 300)
    outcome = engine.apply(wanted, account.ledger(), nowhere, ["personas"], limits)
    assert outcome.stopped == "GET /personas: Mavera cannot be reached"
    assert account.ledger().unknown() == []


@pytest.mark.parametrize(
    ("category", "state"),
    [("invalid_request_error", "failed"), ("insufficient_credits", "failed"), ("api_error", "unknown")],
)
def test_a_body_with_an_error_is_a_failure_whatever_its_status(
    account: Account, category: str, state: str
) -> None:
    activation.publish(account.path / "published.duckdb", (activation.TOP, activation.SKIMMERS))
    nothing = {"object": "list", "data": [], "has_more": False}
    pages = [nothing, {"error": {"type": category, "code": "some_code"}}, nothing]
    with scripted(account, pages, settle=300) as outcome:
        assert outcome.results[SKIMMERS].state == state


@pytest.mark.parametrize(
    ("told", "price"),
    [
        ({"usage": {"credits_used": 412.5}}, 413),
        ({"usage": {"credits_used": 400.0}}, 400),
        ({"usage": {"credits_used": "400"}}, 400),
        ({"usage": {"credits_used": 0}, "credits_charged": 300}, 0),
        ({"usage": {"total_tokens": 12}, "credits_charged": 300}, 300),
        ({"usage": None, "credits_charged": 300}, 300),
        *(({"credits_charged": odd}, None) for odd in (True, -5, "a lot", [300], None, math.nan, 10**12)),
    ],
    ids=str,
)
def test_a_price_is_read_in_every_form_and_is_none_where_it_can_be_no_price(
    told: dict[str, Any], price: int | None
) -> None:
    assert credits_in(told) == price


# --- words and ids of Mavera's -----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["code", "param", "message"])
def test_what_mavera_says_of_a_refusal_shows_nobody_and_moves_no_cursor(place: str) -> None:
    said = {"type": "invalid_request_error", "code": "invalid", "param": "name", "message": "no"}
    refusal = JSONResponse(
        {"error": said | {place: "taken by ada.lovelace@example.com\x1b[31m\u202e now"}}, status_code=422
    )
    with answering(refusal) as client, pytest.raises(Refused) as refused:
        PERSONAS.create(client, {"name": "x"})
    assert "taken by *** now" in str(refused.value)
    assert not re.search("ada|\x1b|\u202e", f"{refused.value}{refused.value.said}")


def test_an_object_with_somebody_for_a_field_is_named_without_them() -> None:
    row = {"ada.lovelace@example.com": 1, "name": "x"}
    with answering({"data": [row]}) as client, pytest.raises(NotUnderstood) as unread:
        PERSONAS.rows(client)
    assert "***" in str(unread.value)
    assert "ada" not in str(unread.value)


@pytest.mark.parametrize("object_id", ["", ".", "..", " .. "])
@pytest.mark.parametrize("kind", ["brand-voices", "focus-groups", "generations", "analyses", "personas"])
def test_an_id_that_leads_elsewhere_is_refused_before_anything_is_sent(kind: str, object_id: str) -> None:
    client = Mavera("http://127.0.0.1:9/api/v1", "key")
    asked = {"analyses": KINDS[kind].fetched, "personas": partial(KINDS[kind].update, payload={})}
    with pytest.raises(Refused, match="no object can have the id"):
        asked.get(kind, KINDS[kind].current)(client, object_id)
    assert client.calls == 0


def test_an_id_stays_one_part_of_the_address() -> None:
    assert path_to("/personas", "../a?b#c d") == "/personas/..%2Fa%3Fb%23c%20d"
    assert path_to("/personas", "per_0f3a-1.b") == "/personas/per_0f3a-1.b"


# --- lists with holes --------------------------------------------------------------------------------


@contextmanager
def answering(
    *pages: Any,
    sleep: Callable[[float], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Mavera]:
    """Yield the client of a Mavera that answers any request with the next page."""
    left = list(pages)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        answer = left.pop(0)
        await (answer if isinstance(answer, Response) else JSONResponse(answer))(scope, receive, send)

    with serving(serve) as url:  # type: ignore[arg-type]
        yield Mavera(url, "key", "enterprise", clock=clock, sleep=sleep)


def page(*ids: str, **rest: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "is_custom": True} for name in ids], **rest}


@pytest.mark.parametrize(
    "pages",
    [
        [page("a", "b", has_more=True, next_cursor="x"), page("c", has_more=False, next_cursor=None)],
        [page("a", "b", next_cursor="x"), page("c")],
        [page("a", "b", total=3, limit=2, offset=0), page("c", total=3, limit=2, offset=2)],
        [page("a", "b", has_more=True, offset=0), page("c", has_more=False, offset=2)],
        [page("a", "b", "c")],
    ],
    ids=["cursor", "cursor without has_more", "offset with total", "offset with has_more", "one page"],
)
def test_a_list_is_read_to_its_end_in_either_style(pages: list[Any]) -> None:
    with answering(*pages) as client:
        assert [row["id"] for row in PERSONAS.rows(client)] == ["a", "b", "c"]


GOOD = [page("a", "b", has_more=True, next_cursor="x"), page("c", has_more=False)]


@pytest.mark.parametrize(
    "bad",
    [
        [GOOD[0], page("a", "b", has_more=True, next_cursor="y")],
        [GOOD[0], page(has_more=True, next_cursor="y")],
        [page("a", has_more=True)],
        [{"object": "list"}],
    ],
    ids=["repeated page", "empty page in the middle", "more without a way to it", "no rows at all"],
)
def test_a_list_with_a_hole_is_read_again_and_never_taken_for_whole(bad: list[Any]) -> None:
    with answering(*bad, *GOOD) as client:
        assert len(PERSONAS.rows(client)) == 3
    with answering(*bad * 5) as client, pytest.raises(TryAgain, match="the list has holes or repeats itself"):
        PERSONAS.rows(client)


def test_more_personas_than_fit_on_a_page_are_all_found(account: Account) -> None:
    body = {"pipeline_type": "north_star", "type": "B2C", "description": "One of many."}
    client = account.client()
    for number in range(101):
        PERSONAS.create(client, {**body, "name": f"Persona {number}"})
    assert len(PERSONAS.rows(client)) == 102
