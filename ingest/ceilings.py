"""Limits on an answer: bytes, seconds per request, nesting of JSON, and hosts that export links may lead to.

A vendor that misbehaves, or somebody impersonating it, must not fill the memory, block a run forever or
direct it to another host on its own network.
"""

import ipaddress
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from urllib.parse import SplitResult, urlsplit

import requests

from common.settings import Settings

MEGABYTE = 1_000_000
BLOCK_BYTES = 256_000
DEEPEST_NESTING = 200
"""Vendors nest fewer than twenty levels; parsers written by recursion end at about a thousand."""

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class TooMuchError(Exception):
    """An answer exceeds a limit: it was not read to its end, and asking again would give the same."""


@dataclass(frozen=True)
class Ceilings:
    """The limits for one answer, one exported file and one request."""

    answer_bytes: int = 100 * MEGABYTE
    export_bytes: int = 2_000 * MEGABYTE
    seconds: float = 900.0

    @classmethod
    def of(cls, settings: Settings) -> "Ceilings":
        return cls(
            settings.largest_answer_mb * MEGABYTE,
            settings.largest_export_mb * MEGABYTE,
            settings.longest_request_seconds,
        )

    def read(self, answer: requests.Response, *, is_export: bool = False) -> bytes:
        """Return the body of an answer requested with `stream=True`, unpacked as its headers say.

        Raises TooMuchError when it is larger, or takes longer, than allowed.
        """
        most, name = self.answer_bytes, "LARGEST_ANSWER_MB"
        if is_export:
            most, name = self.export_bytes, "LARGEST_EXPORT_MB"
        blocks: list[bytes] = []
        size = 0
        # A vendor that sends a byte now and then never triggers the timeout for silence.
        is_late = threading.Event()
        watch = threading.Timer(self.seconds, _cut_off, (answer, is_late))
        watch.daemon = True
        watch.start()
        try:
            with answer:
                for block in answer.iter_content(BLOCK_BYTES):
                    size += len(block)
                    if size > most:
                        raise TooMuchError(f"it is larger than {most // MEGABYTE:,} MB ({name})")
                    blocks.append(block)
        except requests.RequestException:
            if not is_late.is_set():
                raise
        finally:
            watch.cancel()
        if is_late.is_set():
            raise TooMuchError(f"it took longer than {self.seconds:,.0f} s (LONGEST_REQUEST_SECONDS)")
        return b"".join(blocks)


def _cut_off(answer: requests.Response, is_late: threading.Event) -> None:
    is_late.set()
    with suppress(OSError, ValueError, RuntimeError):  # it ended at the same moment
        answer.raw.shutdown()


def check_depth(body: bytes) -> None:
    """Raise TooMuchError when JSON is nested deeper than DEEPEST_NESTING.

    The common case costs a few passes over the brackets alone: adjacent pairs are removed until none is left.
    If texts contain brackets, the texts are removed first.
    """
    if _is_shallow(body):
        return
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEEPEST_NESTING:
        raise TooMuchError(f"its JSON is nested deeper than {DEEPEST_NESTING} levels")


def _is_shallow(body: bytes) -> bool:
    brackets = body.translate(None, _NOT_BRACKETS)
    for _ in range(DEEPEST_NESTING // 2):  # each pass removes one or two levels
        if not brackets:
            return True
        left = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(left) == len(brackets):
            return False
        brackets = left
    return not brackets


def check_link(link: str, base_url: str) -> SplitResult:
    """Return the parts of a link to an exported file. Raises TooMuchError if it must not be followed.

    The link is signed, so any host is allowed. It must be https if the vendor's own address is, and must not
    name a user. It may lead to this machine or a private network only if the vendor's own address does.
    """
    try:
        parts, base = urlsplit(link), urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise TooMuchError("the link to its file is no address") from None
    if parts.scheme not in {"https", base.scheme} or not host:
        raise TooMuchError("the link to its file is not https")
    if parts.username is not None or parts.password is not None:
        raise TooMuchError("the link to its file names a user")
    if not _is_inside(base.hostname or "") and (_is_inside(host) or any(map(_is_inside, _addresses(host)))):
        raise TooMuchError("the link to its file leads into a private network")
    return parts


def _addresses(host: str) -> set[str]:
    """Return the addresses that a name resolves to here; empty if only a proxy can resolve it."""
    try:
        return {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()


def _is_inside(host: str) -> bool:
    """Return whether a host, by its name or address, is this machine or on a private network."""
    name = host.rstrip(".")
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        pass
    # Resolvers accept 2130706433, 0x7f.1 and 127.1 for 127.0.0.1; no public name ends in such a part.
    is_spelled_oddly = re.fullmatch(r"\d+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None
    return is_spelled_oddly or "." not in name or name.endswith((".localhost", ".local", ".internal"))
