"""How a vendor is asked: retries, final answers, the end of a list, and the key's destination."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from ingest.errors import RefusedError, SourceError
from ingest.http import Client, Vendor
from ingest.paging import Linked, Numbered, Offset, Whole
from ingest.typed import Column, Table

TABLE = Table("raw_acme", "things", ("id",), [Column("id", "text")])
TOKENS = Linked("$.next", "token", total="$.count")
KEY = "Bearer secret"

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


class Asked(NamedTuple):
    path: str
    params: dict[str, str]
    key: str | None


class Acme:
    """A vendor with prepared answers: each is a body, or (status, headers, body), or None to hang up."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[Asked] = []
        self.silence = 0.0  # seconds before each answer
        acme = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                acme.asked.append(
                    Asked(parts.path, dict(parse_qsl(parts.query)), self.headers["Authorization"])
                )
                answer = acme.answers.pop(0) if acme.answers else []
                time.sleep(acme.silence)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
                content = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v9"

    def read(self, paging: Any) -> list[str]:
        client = Client(Vendor(self.url, KEY, is_near=True), datetime.now(UTC))
        return [
            id_ for page in client.pages("things", TABLE, paging) for id_ in page.column("id").to_pylist()
        ]


@pytest.fixture
def acme() -> Iterator[Acme]:
    acme = Acme()
    threading.Thread(target=acme.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield acme
    acme.server.shutdown()
    acme.server.server_close()


def things(*ids: str) -> list[dict[str, str]]:
    return [{"id": id_} for id_ in ids]


def test_a_link_to_another_host_gives_its_token_and_nothing_else(acme: Acme) -> None:
    acme.answers = [
        {"data": things("a"), "next": "https://elsewhere.example/steal?token=t2&more=1"},
        {"data": things("b")},
    ]
    assert acme.read(TOKENS) == ["a", "b"]
    assert acme.asked[1] == Asked("/v9/things", {"token": "t2"}, KEY)


def test_a_token_that_comes_back_is_an_error_not_an_endless_list(acme: Acme) -> None:
    acme.answers = [{"data": things(str(n)), "next": f"?token=t{n % 2}"} for n in range(9)]
    with pytest.raises(SourceError, match="things named one page as the next twice"):
        acme.read(TOKENS)


def test_an_empty_page_with_a_link_is_not_the_end(acme: Acme) -> None:
    acme.answers = [
        {"data": things("a"), "next": "?token=t2"},
        {"data": [], "next": "?token=t3"},
        {"data": things("b")},
    ]
    assert acme.read(TOKENS) == ["a", "b"]


def test_an_empty_page_is_asked_again_where_nothing_else_tells_the_end(acme: Acme) -> None:
    acme.answers = [things("a", "b"), [], things("c"), things("unasked")]
    assert acme.read(Numbered(2)) == ["a", "b", "c"]
    assert [int(asked.params["page"]) for asked in acme.asked] == [1, 2, 2]


def test_a_page_that_stays_empty_is_the_end(acme: Acme) -> None:
    acme.answers = [things("a", "b"), [], [], []]
    assert acme.read(Numbered(2)) == ["a", "b"]


def test_a_page_that_is_not_full_ends_a_list_by_offset(acme: Acme) -> None:
    acme.answers = [things("a", "b"), things("c")]
    assert acme.read(Offset(2)) == ["a", "b", "c"]
    assert [asked.params for asked in acme.asked] == [
        {"limit": "2", "offset": "0"},
        {"limit": "2", "offset": "2"},
    ]


def test_a_full_last_page_by_offset_is_followed_by_an_empty_one(acme: Acme) -> None:
    acme.answers = [things("a", "b")]
    assert acme.read(Offset(2)) == ["a", "b"]
    assert [asked.params["offset"] for asked in acme.asked] == ["0", "2", "2", "2"]  # believed the third time


def test_a_vendor_that_gives_more_than_a_page_has_given_everything(acme: Acme) -> None:
    acme.answers = [things("a", "b", "c")]
    assert acme.read(Offset(2)) == ["a", "b", "c"]
    assert len(acme.asked) == 1


@pytest.mark.parametrize("paging", [Numbered(100), Offset(100)], ids=["by number", "by offset"])
def test_a_vendor_that_lowers_its_cap_loses_no_rows(acme: Acme, paging: Any) -> None:
    ids = [f"{n:02}" for n in range(45)]
    acme.answers = [things(*ids[at : at + 20]) for at in (0, 20, 40)]
    assert acme.read(paging) == ids
    assert len(acme.asked) == 3


def test_an_answer_that_is_as_long_as_it_can_be_may_have_been_cut(acme: Acme) -> None:
    acme.answers = [things("a", "b", "c")] * 9
    with pytest.raises(SourceError, match=r"^things: 3 ids, the most it gives\. Rows may be missing$"):
        acme.read(Whole(most=3, of="id"))
    assert acme.read(Whole(most=4, of="id")) == ["a", "b", "c"]


def test_a_repeated_page_is_asked_again(acme: Acme) -> None:
    acme.answers = [things("a", "b"), things("a", "b"), things("c")]
    assert acme.read(Numbered(2)) == ["a", "b", "c"]


def test_a_page_that_keeps_repeating_is_an_error(acme: Acme) -> None:
    acme.answers = [things("a", "b")] * 9
    with pytest.raises(SourceError, match="things gave one page twice"):
        acme.read(Numbered(2))


def test_a_list_shorter_than_promised_is_asked_again(acme: Acme) -> None:
    acme.answers = [{"data": [], "count": 2}, {"data": things("a", "b"), "count": 2}]
    assert acme.read(TOKENS) == ["a", "b"]


def test_a_list_that_stays_shorter_than_promised_is_an_error(acme: Acme) -> None:
    acme.answers = [{"data": things("a"), "count": 2}] * 9
    with pytest.raises(SourceError, match="ended after 1 of 2 rows"):
        acme.read(TOKENS)


def test_a_total_tells_how_long_the_rest_of_a_list_takes(acme: Acme) -> None:
    acme.answers = [
        {"data": things("a"), "next": "?token=t2", "count": 4},
        {"data": things("a1", "a2"), "count": 2},  # read for the row "a"
        {"data": things("b", "c", "d"), "count": 4},
    ]
    client = Client(Vendor(acme.url, KEY, is_near=True), datetime.now(UTC))
    pages = client.pages("things", TABLE, TOKENS)
    next(pages)
    assert len(list(client.pages("things/a", TABLE, TOKENS))) == 1
    assert client.tally.seconds_left is None  # no row is processed yet
    since = client.tally.since
    next(pages)
    before, left, after = time.monotonic(), client.tally.seconds_left, time.monotonic()
    assert (client.tally.done, client.tally.total) == (1, 4)
    assert left is not None
    assert 3 * (before - since) <= left <= 3 * (after - since)
    assert list(pages) == []
    assert client.tally.seconds_left is None


def test_without_a_total_nobody_knows_how_long_a_list_takes(acme: Acme) -> None:
    acme.answers = [{"data": things("a"), "next": "?token=t2"}, {"data": things("b")}]
    client = Client(Vendor(acme.url, KEY, is_near=True), datetime.now(UTC))
    assert [client.tally.seconds_left for _ in client.pages("things", TABLE, TOKENS)] == [None, None]


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        (500, {}, "oops"),
        (503, {}, "<html>"),
        (429, {}, "slow down"),
        (429, {"Retry-After": "0.01"}, "slow down"),
        (200, {}, '{"data": [{"id"'),
        (200, {"Content-Length": "999"}, "[]"),
    ],
    ids=["hung up", "500", "503", "429", "429 with a time", "broken JSON", "cut short"],
)
def test_trouble_that_passes_is_asked_again(acme: Acme, trouble: Any) -> None:
    acme.answers = [trouble, trouble, things("a")]
    assert acme.read(Whole()) == ["a"]
    assert len(acme.asked) == 3


def test_patience_ends_and_says_what_was_asked(acme: Acme) -> None:
    acme.answers = [(500, {}, "oops")] * 20
    with pytest.raises(SourceError, match=r"500 on /v9/things, 8 times"):
        acme.read(Whole())


def test_a_machine_that_is_slow_is_given_more_time_and_not_up(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.http.NEAR_SECONDS", (2.0, 0.2))
    acme.silence, acme.answers = 0.5, [things("a")] * 8
    assert acme.read(Whole()) == ["a"]
    assert len(acme.asked) >= 3  # after 0.2 and 0.4 s there was nothing yet


def test_a_refusal_is_final_and_repeats_the_vendors_words(acme: Acme) -> None:
    acme.answers = [(400, {}, {"errors": [{"detail": "Invalid filter provided."}]})]
    with pytest.raises(RefusedError, match=r"400 on /v9/things: Invalid filter provided\.") as raised:
        acme.read(Whole())
    assert (raised.value.status, len(acme.asked)) == (400, 1)


def test_a_redirect_is_not_followed(acme: Acme) -> None:
    acme.answers = [(302, {"Location": f"{acme.url}/other"}, "")]
    with pytest.raises(
        RefusedError, match=r"302 on /v9/things: redirects to 127\.0\.0\.1; check the base URL"
    ):
        acme.read(Whole())
    assert len(acme.asked) == 1


def test_no_more_requests_leave_than_the_window_in_the_headers_allows(acme: Acme) -> None:
    window = {"RateLimit-Limit": "2, 2;w=1", "RateLimit-Remaining": "1", "RateLimit-Reset": "1"}
    acme.answers = [(200, window, things(f"{n}a", f"{n}b")) for n in range(3)] + [things("c")]
    begun = time.monotonic()
    assert len(acme.read(Numbered(2))) == 7
    assert time.monotonic() - begun > 0.9


def test_an_allowance_that_is_used_up_is_waited_for(acme: Acme) -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1)}
    acme.answers = [(200, spent, things("a", "b")), things("c")]
    acme.read(Numbered(2))
    assert time.time() >= int(spent["X-RateLimit-Reset"])


@pytest.mark.parametrize("id_", ["", ".", "..", "...."])
def test_an_id_that_would_lead_to_another_address_is_counted_and_never_asked(acme: Acme, id_: str) -> None:
    client = Client(Vendor(acme.url, KEY, is_near=True), datetime.now(UTC))
    assert list(client.pages("things/{thing}/parts", TABLE, Whole(), ids={"thing": id_})) == []
    assert acme.asked == []
    assert client.tally.gone == [("thing", id_)]


def test_an_id_is_quoted_in_its_path(acme: Acme) -> None:
    acme.answers = [things("a")]
    client = Client(Vendor(acme.url, KEY, is_near=True), datetime.now(UTC))
    list(client.pages("things/{thing}/parts", TABLE, Whole(), ids={"thing": "../a b?c#d"}))
    assert acme.asked[0].path == "/v9/things/..%2Fa%20b%3Fc%23d/parts"
