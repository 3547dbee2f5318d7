"""Text from vendors and other outsiders is cleaned in one place before it is shown or kept."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from common import runs
from operate import query
from privacy import outside
from sandbox import klaviyo
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project

ADDRESS = "ada.lovelace@example.com"
KEY = "pk_" + "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "_secrets", {KEY, "a pass/word"})


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"{ADDRESS} is no member", "*** is no member"),
        (f"<{ADDRESS}>", "<***>"),
        ("ada%2elovelace%40example.com is unknown", "*** is unknown"),
        ("YWRhLmxvdmVsYWNlQGV4YW1wbGUuY29t is unknown", "*** is unknown"),
        ("call +44 20 7946 0958 now", "call *** now"),
        (f"the key {KEY} is wrong", "the key *** is wrong"),
        (f"the key {KEY[:20]}", "the key ***"),
        (f"the key {KEY.upper()} is wrong", "the key *** is wrong"),
        ("with a%20pass%2Fword in it", "with *** in it"),
        ("red \x1b[31mletters\x1b[0m", "red letters"),
        ("a title \x1b]0;owned\x07here", "a title here"),
        ("nul\x00 and\r\nlines\u2028more", "nul and lines more"),
        ("turned \u202eround\u202c", "turned round"),
        ("half \ud83d a sign", "half a sign"),
        (b"bytes \xff\xfe", "bytes \ufffd\ufffd"),
        ("127.0.0.1:8790 and 192.168.1.20 answer", "127.0.0.1:8790 and 192.168.1.20 answer"),
        ("from 93.184.216.34", "from ***"),
        ("404 on /v3/marketing/lists", "404 on /v3/marketing/lists"),
        ("the list ended after 1,234 of 5,678 rows", "the list ended after 1,234 of 5,678 rows"),
        ("👩\u200d👩\u200d👧 is fine", "👩\u200d👩\u200d👧 is fine"),
    ],
)
def test_words_of_others_show_nobody_no_secret_and_move_no_cursor(said: Any, shown: str) -> None:
    assert outside.words(said) == shown


@pytest.mark.parametrize("sign", ["e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "x"])
def test_a_cut_leaves_whole_characters(sign: str) -> None:
    for length in range(2, 20):
        shown = outside.cut(sign * 20, length)
        assert len(shown) <= length
        assert shown.removesuffix("…") == sign * (len(shown.removesuffix("…")) // len(sign))


def test_what_is_masked_is_masked_before_the_cut() -> None:
    assert outside.words("x" * 295 + f" {ADDRESS}", 300) == "x" * 295 + " ***"


class Talking(Sandbox):
    """A Klaviyo that refuses every request and repeats its key and contents."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/klaviyo"):
            said = f"{ADDRESS} with {klaviyo.KEY} \x1b[31m<!channel> \u202ehttps://evil.example/\x00 \ud83d"
            body = json.dumps({"errors": [{"detail": said}]}).encode()
            answer = JSONResponse(None, 400)
            answer.body = body
            answer.headers["content-length"] = str(len(body))
            await answer(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Talking(World(200, 7, date(2026, 11, 21)), limits="off")) as url:
        yield url


def test_what_a_vendor_says_in_an_error_shows_nobody_anywhere(tmp_path: Path, url: str) -> None:
    project = Project(tmp_path, url)
    ran = project.run("ingest", "klaviyo", "--json")
    told = project.run("doctor")
    kept = (tmp_path / "runs.jsonl").read_text(encoding="utf-8")
    kept += str(project.rows("select detail from raw_ops.loads"))
    assert ran.code == told.code == 1
    for text in (ran.out, ran.err, told.out, told.err, kept):
        assert "lovelace" not in text.lower()
        assert klaviyo.KEY not in text
        assert not {"\x1b", "\u202e", "\x00", "\\u0000", "\\u202e", "\\ud83d"} & {*text, *text.split()}
        assert "\\ud83d" not in text


# --- escaped for its destination ---------------------------------------------------------------------


def test_a_notice_calls_nobody_and_links_nowhere() -> None:
    said = "a <!channel> & <https://evil.example|click> @here mailto:ada"
    shown = runs.escaped(said)
    assert not {"<", ">"} & {*shown}
    assert "https:" not in shown
    assert "mailto:" not in shown
    assert "@here" not in shown
    assert shown.startswith("a &lt;!channel&gt; &amp; &lt;")


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "  =1", "＝1+1", "\r=1"])
def test_a_cell_is_no_formula(cell: str) -> None:
    answer = query.Answer(["=name", "number"], [False, True], [(cell, -5), (None, -0.5)])
    names, first, second = csv.reader(io.StringIO(query.as_csv(answer)))
    assert names == ["'=name", "number"]
    assert first[0].startswith("'")
    assert (first[1], second) == ("-5", ["", "-0.5"])


def test_a_signed_number_stays_one() -> None:
    assert query.as_csv(query.Answer(["x"], [False], [("-5",), ("+4.5",)])) == "x\n-5\n+4.5"


def test_a_table_moves_no_cursor() -> None:
    shown = query.as_table(query.Answer(["a\x1b[2J"], [False], [("\x1b]0;x\x07red \u202eround",)]))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
