"""What a brand voice is made of, and what keeps one from being made.

Fields are named as Mavera's reference does, those of a document as its guide: what neither says stands in
assumptions.py. The two spell states differently; `studies.state_of` knows the words of both.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from activate.plan import Document
from common import assumptions

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
