"""Brand voices: transcripts leave only if allowed, and without the key; each voice is paid for once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.types import Receive, Scope, Send

from activate import drift
from activate.errors import NotStarted
from activate.mavera import Mavera
from activate.plan import Record
from activate.run import Outcome
from sandbox import mavera as sandbox_mavera
from sandbox.faults import Fault
from sandbox.server import Sandbox, serving
from tests import activation
from tests.activate.test_activate_studies import CEILING_SECONDS, POLL_SECONDS, Lab

VOICE = "brand-voices/brand-voice:account"


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    sandbox = Sandbox(activation.world(), limits="off", strict=request.param)
    sandbox.mavera.voice_seconds = 3_600
    with serving(sandbox) as url:
        yield Lab(sandbox, url, tmp_path)


def sent(lab: Lab, *voices: activation.Row, **changes: Any) -> Outcome:
    return lab.apply(personas=(), voices=voices or (activation.VOICE,), **changes)


def record_of(lab: Lab, voice: activation.Row = activation.VOICE, **changes: Any) -> Record:
    (record,) = lab.wanted((), (), (voice,), **changes)
    return record


def another(text: str) -> activation.Row:
    """Return the voice with another transcript of its second media and the same facts."""
    first, second = activation.VOICE["documents"]
    return activation.but(activation.VOICE, documents=[first, {**second, "text": text}])


# --- made once, from the uploads ---------------------------------------------------------------------


def test_a_voice_is_made_of_its_transcripts_and_nothing_in_the_next_run(lab: Lab) -> None:
    outcome = sent(lab)
    assert (outcome.counts(), outcome.credits, lab.credits()) == ({"created": 1}, 50, 50)
    (call,) = lab.ledger().calls()
    assert call.payload["usage_context"].endswith(f"Ref: brand-voice:account {call.fingerprint[:12]}")
    assert "kettle" not in f"{call.payload} {call.facts}"  # the ledger keeps its address, not its text
    for document, given in zip(call.payload["documents"], activation.VOICE["documents"], strict=True):
        assert document.keys() == {"name", "url", "file_type", "file_size"}
        assert requests.get(document["url"], timeout=10).text == given["text"]
    made = lab.ledger().answer(call.call_id)
    assert made["vocabulary"]["preferred_terms"][0] == "kettle"
    requests_before = len(lab.sandbox.journal)
    assert sent(lab).counts() == {"unchanged": 1}
    assert len(lab.sandbox.journal) == requests_before
    assert lab.is_paid_once()


def test_a_voice_that_takes_too_long_is_left_to_the_next_run(lab: Lab) -> None:
    lab.pauses = 10_000
    first = sent(lab)
    assert (first.results[VOICE].state, len(lab.waits)) == ("waiting", CEILING_SECONDS / POLL_SECONDS)
    lab.pauses = 1
    second = sent(lab)
    assert (second.results[VOICE].state, second.credits) == ("created", 0)
    assert lab.posts("/brand-voices") == 1
    assert lab.is_paid_once()


@pytest.mark.parametrize("fault", ["cut-after", "broken-json"])
def test_an_answer_lost_after_the_work_is_found_by_its_reference(lab: Lab, fault: str) -> None:
    lab.apply(personas=(activation.TOP,))
    lab.sandbox.faults.add(Fault(fault, "mavera", count=1, path="/brand-voices", method="POST"))
    assert sent(lab).results[VOICE].state == "created"
    assert (lab.posts("/brand-voices"), lab.voices()) == (1, 1)
    assert lab.ledger().spent() == lab.credits()


def test_what_a_killed_run_left_at_work_is_adopted_and_waited_for(lab: Lab) -> None:
    lab.apply(personas=(activation.TOP,))
    lab.pauses = 10_000
    lab.sandbox.faults.add(Fault("cut-after", "mavera", count=1, path="/brand-voices", method="POST"))
    lab.sandbox.faults.add(Fault("500", "mavera", count=5, path="/brand-voices", method="GET", spare=1))
    assert sent(lab).results[VOICE].state == "unknown"
    lab.pauses = 1
    assert sent(lab).results[VOICE].state == "created"
    assert (lab.posts("/brand-voices"), lab.voices()) == (1, 1)
    assert lab.ledger().spent() == lab.credits()


def test_a_voice_that_mavera_gave_up_is_held_until_a_person_says_so(lab: Lab) -> None:
    lab.sandbox.mavera.voices_to_fail = 1
    assert sent(lab).results[VOICE].state == "failed"
    assert sent(lab).results[VOICE].text.endswith("settle --forget asks again")
    drift.forget(VOICE, lab.ledger())
    assert sent(lab).results[VOICE].state == "created"
    assert lab.ledger().spent() == lab.credits() == 100


def test_a_lost_ledger_is_made_again_with_its_voices(lab: Lab) -> None:
    sent(lab)
    (lab.path / "ledger").unlink()
    with pytest.raises(NotStarted, match="settle --from-mavera"):
        sent(lab)
    client = Mavera(f"{lab.url}/mavera/api/v1", sandbox_mavera.KEY, "enterprise")
    assert [key for key, _ in drift.adopt_all([record_of(lab)], lab.ledger(), client)] == [VOICE]
    assert sent(lab).counts() == {"unchanged": 1}


def test_other_transcripts_are_another_voice_once_the_old_one_has_counted_its_days(lab: Lab) -> None:
    sent(lab)
    moved = another("Descale it once a month.")
    assert sent(lab, moved).results[VOICE].text == "its facts moved, its results still count"
    lab.now = lambda: datetime.now(UTC) + timedelta(days=31)
    assert sent(lab, moved).results[VOICE].state == "updated"
    assert (lab.voices(), lab.credits()) == (2, 100)


# --- withheld transcripts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"mavera_transcripts_may_leave": False},
            "its transcripts would leave: set MAVERA_TRANSCRIPTS_MAY_LEAVE=true in .env to let them",
        ),
        (
            {"mavera_workspace_id": None},
            "the upload of its transcripts needs MAVERA_WORKSPACE_ID: set it in .env",
        ),
    ],
)
def test_a_voice_is_held_and_nothing_uploaded_until_a_setting_allows_it(
    lab: Lab, changes: dict[str, Any], reason: str
) -> None:
    outcome = sent(lab, **changes)
    assert (outcome.results[VOICE].state, outcome.results[VOICE].text) == ("held", reason)
    assert not lab.sandbox.journal


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Write to jo@example.com for more.", "an e-mail address"),
        ("Write to jo@\nexample.com for more.", "an e-mail address"),
        ("Call 555 123 4567 today.", "a phone number"),
        ("Paste SG.abcdefgh12345678 there.", "a key"),
    ],
)
def test_a_transcript_that_holds_somebody_is_held_by_the_name_of_its_media(
    lab: Lab, text: str, what: str
) -> None:
    assert record_of(lab, another(text)).objection == f'the transcript of "First steps" looks like {what}'
    assert sent(lab, another(text)).counts() == {"held": 1}
    assert not lab.sandbox.journal


def test_a_voice_without_documents_is_held(lab: Lab) -> None:
    silent = activation.but(activation.VOICE, documents=[])
    assert record_of(lab, silent).objection == "it has 0 documents, Mavera takes 1 to 100"


# --- the upload --------------------------------------------------------------------------------------


def test_an_upload_that_fails_is_nothing_paid_and_the_next_run_uploads_again(lab: Lab) -> None:
    lab.apply(personas=(activation.TOP,))
    lab.sandbox.faults.add(Fault("500", "mavera", count=5, path="/storage"))
    stopped = sent(lab)
    assert (stopped.results[VOICE].state, stopped.stopped) == ("failed", "PUT of a file: 500")
    assert (lab.voices(), lab.ledger().unknown(), lab.ledger().spent()) == (0, [], lab.credits())
    assert sent(lab).results[VOICE].state == "created"


@pytest.mark.parametrize("path", ["/upload-url", "/storage", "/files"])
@pytest.mark.parametrize("fault", ["cut-before", "cut-after", "503"])
def test_an_upload_is_tried_again_within_the_run(lab: Lab, path: str, fault: str) -> None:
    lab.sandbox.faults.add(Fault(fault, "mavera", count=2, path=path))
    assert sent(lab).counts() == {"created": 1}
    assert lab.is_paid_once()


class Listening:
    """The sandbox, and the headers of every request to its storage."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.heard: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "/storage/" in scope["path"]:
            self.heard.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await self.sandbox(scope, receive, send)


def test_the_host_of_files_never_sees_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    listening = Listening(Sandbox(activation.world(), limits="off"))
    with serving(listening) as url:  # type: ignore[arg-type]
        lab = Lab(listening.sandbox, url, tmp_path)
        assert sent(lab).counts() == {"created": 1}
    assert len(listening.heard) == 2
    for headers in listening.heard:
        assert "authorization" not in headers
        assert sandbox_mavera.KEY not in str(headers)
