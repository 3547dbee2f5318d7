"""Brand voices: the request bodies, and the reasons why one cannot be created.

Field names follow Mavera's reference, those of documents its guide. Anything that neither states is in
assumptions.py. The two spell states differently; `answers.state_of` knows both spellings.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from activate.errors import Refused
from activate.kinds.kind import WORKSPACE, Draft, Kind
from activate.ledger.journal import Journal
from activate.mavera import Mavera
from activate.plan import Price, Step, Terms
from common import assumptions
from common.settings import Settings

FILE_BYTES: Final = 10 * 2**20  # the limit for all files except videos
FILE_TYPE: Final = "text/plain"


def upload(name: str, size: int, workspace_id: str) -> dict[str, Any]:
    """Return the body that requests an upload address.

    It has no checksum: Mavera wants a SHA-256 but does not document its notation.
    """
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[: assumptions.FILE_NAME_CHARACTERS] or "document"
    file = {"file_name": f"{plain}.txt", "file_type": FILE_TYPE, "file_size": size}
    return {**file, "workspace_id": workspace_id}


def uploaded(mavera: Mavera, name: str, text: str, workspace_id: str) -> dict[str, Any]:
    """Upload a text; return it as one of the `documents` of a brand voice.

    Anyone with its address can read it. Files are free, and a duplicate does no harm.
    """
    content, size = text.encode(), len(text.encode())
    place = mavera.prepare("/files/upload-url", upload(name, size, workspace_id))
    if not (place.get("upload_url") and place.get("public_url")):
        raise Refused("POST /files/upload-url: Mavera answered without the address of a file")
    mavera.put(place, content)
    registered = {"name": name, "type": FILE_TYPE, "url": place["public_url"], "file_size": size}
    mavera.prepare("/files", {**registered, "workspace_id": workspace_id})
    return {"name": name, "url": place["public_url"], "file_type": FILE_TYPE, "file_size": size}


class BrandVoices(Kind):
    name = "brand-voices"
    # An update cannot replace a voice's documents: new transcripts need a new voice.
    terms = Terms(create=Price(50, 50), update=Price(50, 50), lasts=True)
    thing = "brand voice"
    path = "/brand-voices"
    seconds = assumptions.VOICE_SECONDS
    page = None  # Mavera documents no paging for brand voices
    results_field = "voice_summary"
    words_file = "voice.md.j2"
    name_field = "label"
    reference_field = "usage_context"
    echo = ("label", "usage_context")
    columns = ("documents",)
    has_paragraphs = True
    begins_early = True
    remedies = (WORKSPACE, (("",), "Change the job's voice.md.j2"))

    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        """Return the body without its documents: they are uploaded first."""
        words = {"label": draft.name, "usage_context": draft.marked_text}
        return {**words, "workspace_id": settings.mavera_workspace_id}

    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        if not settings.mavera_transcripts_may_leave:
            return "its transcripts would leave: set MAVERA_TRANSCRIPTS_MAY_LEAVE=true in .env to let them"
        if not settings.mavera_workspace_id:
            return "the upload of its transcripts needs MAVERA_WORKSPACE_ID: set it in .env"
        for what, count, (low, high) in (
            ("documents", len(draft.documents), assumptions.VOICE_DOCUMENTS),
            ("characters in its name", len(draft.name), assumptions.VOICE_LABEL_CHARACTERS),
            ("characters in its text", len(draft.marked_text), assumptions.VOICE_CONTEXT_CHARACTERS),
        ):
            if not low <= count <= high:
                return f"it has {count:,} {what}, Mavera takes {low} to {high:,}"
        too_large = [one.name for one in draft.documents if len(one.text.encode()) > FILE_BYTES]
        return f'the transcript of "{too_large[0]}" has more than {FILE_BYTES:,} bytes' if too_large else ""

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
