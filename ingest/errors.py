"""The errors of a load, grouped by what the caller can do next."""

from urllib.parse import urlsplit

import requests

from privacy import outside


class NotStartedError(Exception):
    """Nothing was read or written; the text says what to do."""


class BrokenOffError(Exception):
    """The warehouse can no longer be written. Earlier loads are kept; the text says what to do."""


class SourceError(Exception):
    """The resource could not be read to its end. Its rows are discarded; the next run reads it again."""


class OutageError(SourceError):
    """The vendor gave no good answer within the time allowed; `problem` is the last failure."""

    def __init__(self, problem: str, path: str, times: int) -> None:
        super().__init__(outside.words(f"{problem} on {path}, {times} times"))
        self.problem = problem


class RefusedError(SourceError):
    """The vendor's answer is final: asking again would give the same."""

    def __init__(self, answer: requests.Response, path: str) -> None:
        said, code = _said(answer)
        super().__init__(outside.words(f"{answer.status_code} on {path}{': ' if said else ''}{said}"))
        self.status = answer.status_code
        self.path = outside.words(path)
        # Wistia answers 401 to a valid key without the permission; a code tells the two cases apart.
        self.lacks_scope = self.status == requests.codes.forbidden or code == "unauthorized_scope"


def _said(answer: requests.Response) -> tuple[str, str]:
    """Return the vendor's words about a refusal, unchanged, with its code if there is one."""
    if answer.is_redirect:
        return f"redirects to {_host(answer.headers['Location'])}; check the base URL", ""
    try:
        body = answer.json()
    except (requests.exceptions.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    error = body.get("errors") or body.get("error") if isinstance(body, dict) else None
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        error = error.get("detail") or error.get("message")
    code = body.get("code") if isinstance(body, dict) else None
    return error if isinstance(error, str) else "", str(code)


def _host(link: str) -> str:
    try:
        return urlsplit(link).hostname or "nowhere"
    except ValueError:
        return "nowhere"
