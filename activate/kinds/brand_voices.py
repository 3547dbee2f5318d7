"""What a brand voice is made of, and what keeps one from being made.

Fields are named as Mavera's reference does, those of a document as its guide: what neither says stands in
assumptions.py. The two spell states differently; `answers.state_of` knows the words of both.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from activate.errors import Refused
from activate.kinds.kind import WORKSPACE, Draft, Kind
from activate.ledger.journal import Journal
from activate.mavera import Mavera
from activate.plan import Document, Price, Step, Terms
from common import assumptions
from common.settings import Settings

FILE_BYTES: Final = 10 * 2**20  # of anything but a video
FILE_TYPE: Final = "text/plain"


def payload(label: str, usage_context: str, workspace_id: str | None) -> dict[str, Any]:
    """Return the body that creates a brand voice, without its documents, which are uploaded first."""
    return {"label": label, "usage_context": usage_context, "workspace_id": workspace_id}


def document(name: str, url: str, size: int) -> dict[str, Any]:
    """Return an uploaded file of `size` bytes as one of the `documents` of a brand voice."""
    return {"name": name, "url": url, "file_type": FILE_TYPE, "file_size": size}


def upload(name: str, size: int, workspace_id: str) -> dict[str, Any]:
    """Return the body that asks where a file may be put.

    The checksum is left out: that it is a SHA-256 is known, not how it is written.
    """
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[: assumptions.FILE_NAME_CHARACTERS] or "document"
    return {
        "file_name": f"{plain}.txt",
        "file_type": FILE_TYPE,
        "file_size": size,
        "workspace_id": workspace_id,
    }


def file(name: str, url: str, size: int, workspace_id: str) -> dict[str, Any]:
    """Return the body that makes a file of the account out of what was put there."""
    return {"name": name, "type": FILE_TYPE, "url": url, "workspace_id": workspace_id, "file_size": size}


def complaint(body: Mapping[str, Any], documents: Sequence[Document], may_leave: bool) -> str:
    """Say what keeps a brand voice from being made, or nothing."""
    if not may_leave:
        return "its transcripts would leave: set MAVERA_TRANSCRIPTS_MAY_LEAVE=true in .env to let them"
    if not body["workspace_id"]:
        return "the upload of its transcripts needs MAVERA_WORKSPACE_ID: set it in .env"
    for what, count, (low, high) in (
        ("documents", len(documents), assumptions.VOICE_DOCUMENTS),
        ("characters in its name", len(body["label"]), assumptions.VOICE_LABEL_CHARACTERS),
        ("characters in its text", len(body["usage_context"]), assumptions.VOICE_CONTEXT_CHARACTERS),
    ):
        if not low <= count <= high:
            return f"it has {count:,} {what}, Mavera takes {low} to {high:,}"
    too_large = (one.name for one in documents if len(one.text.encode()) > FILE_BYTES)
    return next((f'the transcript of "{name}" has more than {FILE_BYTES:,} bytes' for name in too_large), "")


def uploaded(mavera: Mavera, name: str, text: str, workspace_id: str) -> dict[str, Any]:
    """Put a text where a brand voice can be made from it; return it as one of the voice's documents.

    Anybody who has its address can read it there. Files cost nothing, and one more does no harm.
    """
    content = text.encode()
    place = mavera.prepare("/files/upload-url", upload(name, len(content), workspace_id))
    if not (place.get("upload_url") and place.get("public_url")):
        raise Refused("POST /files/upload-url: Mavera answered without the address of a file")
    mavera.put(place, content)
    mavera.prepare("/files", file(name, place["public_url"], len(content), workspace_id))
    return document(name, place["public_url"], len(content))


class BrandVoices(Kind):
    name = "brand-voices"
    # An update cannot change what a voice was made from: other transcripts make another voice.
    terms = Terms(create=Price(50, 50), update=Price(50, 50), lasts=True)
    thing = "brand voice"
    path = "/brand-voices"
    seconds = assumptions.VOICE_SECONDS
    page = None  # no paging of theirs is documented
    results_field = "voice_summary"
    words_file = "voice.md.j2"
    name_field = "label"
    reference_field = "usage_context"
    echo = ("label", "usage_context")
    columns = ("documents",)
    has_paragraphs = True
    remedies = (WORKSPACE, (("",), "Change the job's voice.md.j2"))

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        return payload(draft.name, draft.marked_text, settings.mavera_workspace_id)

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        return complaint(payload, draft.documents, settings.mavera_transcripts_may_leave)

    def leading_bodies(self, draft: Draft, payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        workspace_id = str(payload.get("workspace_id"))
        for one in draft.documents:
            yield upload(one.name, len(one.text.encode()), workspace_id)

    def completed(
        self, step: Step, ledger: Journal, mavera: Mavera, say: Callable[[str], None]
    ) -> dict[str, Any]:
        payload = super().completed(step, ledger, mavera, say)
        workspace_id = str(payload["workspace_id"])
        payload["documents"] = [
            uploaded(mavera, one.name, one.text, workspace_id) for one in step.record.documents
        ]
        return payload
