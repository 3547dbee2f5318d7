"""An unknown kind: planning, sending and finding its objects need nothing but its file."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from activate import drift, engine, planning
from activate.cli import screen
from activate.kinds import KINDS
from activate.kinds.kind import WORKSPACE, Bearers, Draft, Kind, RemoteObject, borne
from activate.ledger import opening
from activate.ledger.journal import Ledger
from activate.mavera import Mavera
from activate.plan import Price, Record, Terms
from activate.planning import Limits
from activate.records import marker
from common import settings
from sandbox.server import serving

LIMITS = Limits(1_000, None, 20, settle_seconds=300)


class Memos(Kind):
    name = "memos"
    terms = Terms(create=Price(20, 40), update=Price(20, 40))
    thing = "memo"
    path = "/memos"
    seconds = 10
    words_file = "memo.md.j2"
    name_field = "title"
    reference_field = "text"
    echo = ("title", "text")
    remedies = (WORKSPACE, (("",), "Change the job's memo.md.j2"))

    def payload(self, draft: Draft, settings: settings.Settings) -> dict[str, Any]:
        return {"title": draft.name, "text": draft.marked_text}

    def complaint(self, draft: Draft, payload: Any, settings: settings.Settings) -> str:
        return "" if draft.name else "a memo needs a name"


class Desk:
    """A Mavera with nothing but memos, and a ledger; the next `lost` answers do not arrive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.memos: list[dict[str, Any]] = []
        self.lost = 0
        self.url = ""
        self.app = Starlette(
            routes=[
                Route("/memos", self.create, methods=["POST"]),
                Route("/memos", self.list),
                Route("/memos/{memo}", self.one),
            ]
        )

    async def create(self, request: Request) -> Response:
        number = len(self.memos) + 1
        made = {"id": f"memo_{number}", "created_at": datetime.now(UTC).isoformat(), **await request.json()}
        self.memos.append({**made, "usage": {"credits_used": 25}})
        self.lost -= 1
        return JSONResponse({}, 500) if self.lost >= 0 else JSONResponse(self.memos[-1])

    async def list(self, _: Request) -> Response:
        return JSONResponse({"data": self.memos, "has_more": False})

    async def one(self, request: Request) -> Response:
        (memo,) = (one for one in self.memos if one["id"] == request.path_params["memo"])
        return JSONResponse(memo)

    def ledger(self) -> Ledger:
        return opening.connect(f"sqlite:///{self.path / 'ledger'}", self.url, write=True)

    def apply(self, *wanted: Record) -> dict[str, int]:
        client = Mavera(self.url, "key", "enterprise", sleep=lambda _: None)
        return dict(engine.apply(wanted, self.ledger(), client, ["memos"], LIMITS).counts())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setitem(KINDS, "memos", Memos())  # type: ignore[arg-type]
    desk = Desk(tmp_path)
    with serving(desk.app) as url:
        desk.url = url
        yield desk


def memo(number: int, count: int = 100) -> Record:
    fingerprint = f"{number:02}{count:062}"
    draft = Draft(f"Memo {number}", {"count": count}, f"There are {count}.", {}, {}, (), 0)
    draft = replace(draft, mark=marker(f"notes:{number}", fingerprint))
    payload = KINDS["memos"].payload(draft, settings.Settings(_env_file=None))
    return Record(
        "memos", f"notes:{number}", "notes", "notes", draft.name, draft.facts, 100, payload, fingerprint
    )


def test_a_new_kind_is_planned_sent_and_left_alone_by_the_next_run(desk: Desk) -> None:
    (step,) = planning.plan([memo(1)], desk.ledger(), ["memos"], LIMITS).steps
    assert (step.action, str(step.price)) == ("create", "20 to 40")
    assert desk.apply(memo(1), memo(2)) == {"created": 2}
    assert desk.apply(memo(1), memo(2)) == {"unchanged": 2}
    assert len(desk.memos) == 2
    assert desk.ledger().spent() == 50
    (first, _) = desk.ledger().calls()
    assert (first.key, screen.way(first)) == ("memos/notes:1", "POST /memos")


def test_a_lost_answer_of_a_new_kind_is_found_by_its_reference(desk: Desk) -> None:
    desk.lost = 1
    assert desk.apply(memo(1)) == {"created": 1}
    assert desk.apply(memo(1), memo(2)) == {"unchanged": 1, "created": 1}
    assert [row["id"] for row in desk.memos] == ["memo_1", "memo_2"]


def test_what_cannot_be_edited_in_place_is_asked_anew_at_its_price(desk: Desk) -> None:
    desk.apply(memo(1))
    (step,) = planning.plan([memo(1, count=120)], desk.ledger(), ["memos"], LIMITS).steps
    assert (step.action, step.pays) == ("update", True)
    assert desk.apply(memo(1, count=120)) == {"updated": 1}
    assert len(desk.memos) == 2


def test_a_persons_edit_of_a_new_kind_is_drift(desk: Desk) -> None:
    desk.apply(memo(1), memo(2))
    desk.memos[0]["title"] = "Mine now"
    del desk.memos[1]
    client = Mavera(desk.url, "key", "enterprise")
    found = drift.find(desk.ledger(), client, ["memos"], settle_seconds=0)
    assert [(one.key, one.state) for one in found.drifts] == [
        ("memos/notes:1", "edited"),
        ("memos/notes:2", "deleted"),
    ]


# --- many objects and many records ---------------------------------------------------------------------

NAMES = [
    *("Customers: top tier", "Customers: top", "R&D <b>people</b>", "Étude…", "customers", "…tail", "a", ""),
]
SHOWN = [
    *("Customers: top tier", "CUSTOMERS  top   tier", "Customers: t…", "Customers...tier", "Custom"),
    *("R&amp;D people", "R&D <b>people</b>", "R&D <b", "Étude", "…tail", "...", ""),
    "Customers: top | Ref: memo:0 0123456789ab",
]


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.lists(st.sampled_from(SHOWN), max_size=8))
def test_records_that_are_found_by_their_names_are_those_that_a_comparison_of_all_pairs_finds(
    names: list[str], shown: list[str]
) -> None:
    kind = Memos()
    wanted = [named(number, name) for number, name in enumerate(names)]
    objects = [RemoteObject(kind, str(number), "", {"title": text}) for number, text in enumerate(shown)]
    pairs = {(record.key, one.remote_id) for record in wanted for one in objects if kind.bears(one, record)}
    assert {(r.key, one.remote_id) for one in objects for r in Bearers(kind, wanted).of(one)} == pairs
    found = borne(kind, wanted, objects)
    assert {(key, one.remote_id) for key, bearing in found.items() for one in bearing} == pairs
    assert list(found) == [record.key for record in wanted if record.key in found]


def test_objects_are_compared_with_few_records() -> None:
    class Counted(Memos):
        compared = 0

        def bears(self, remote: RemoteObject, record: Record) -> bool:
            self.compared += 1
            return super().bears(remote, record)

    kind = Counted()
    wanted = [named(number, f"Customers of place {number:04}") for number in range(1_000)]
    objects = [RemoteObject(kind, one.record_key, "", {"title": one.name}) for one in wanted]
    assert {key: len(found) for key, found in borne(kind, wanted, objects).items()} == {
        one.key: 1 for one in wanted
    }
    assert kind.compared == len(objects)


def named(number: int, name: str) -> Record:
    payload: dict[str, Any] = {}
    return Record("memos", f"memo:{number}", "memo", "memo", name, {}, None, payload, "0" * 64)
