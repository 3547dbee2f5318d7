"""Every error of this room: the class says what may happen next, the text tells a person what to do.

docs/architecture.md has the whole tree.
"""

from typing import Any


class ActivationError(Exception):
    """The base class. The text is one line without secrets, ready to be shown."""


class NotStarted(ActivationError):
    """Nothing was sent; the text says what to do first."""


class UsageError(NotStarted):
    """The command cannot be understood; the text says what to type instead."""


class RecordsError(NotStarted):
    """The rows or templates cannot be used; the text names them and says what to do."""


class ApprovalError(NotStarted):
    """The plan file cannot be applied and nothing was sent; the text says what changed and what to do."""


class LedgerError(ActivationError):
    """The ledger cannot be used, so nothing more may be sent; the text says what to do."""


class MaveraError(ActivationError):
    """A request failed."""


class TryAgain(MaveraError):
    """Nothing was done or charged. The same call may be repeated after `seconds` (None: unspecified)."""

    def __init__(self, text: str, seconds: float | None = None) -> None:
        super().__init__(text)
        self.seconds = seconds


class Refused(MaveraError):
    """Mavera refused the call and would refuse it again.

    `field` is the field that Mavera named, if any, and `said` is Mavera's message.
    """

    def __init__(self, text: str, field: str = "", said: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.said = said


class Withheld(Refused):
    """The firewall withheld the body, so nothing was sent; the text names the field, never its value."""


class KeyRefused(Refused):
    """Mavera would refuse every other call as well: stop."""


class OutOfCredits(MaveraError):
    """Nothing more can be bought: stop."""


class OutcomeUnknown(MaveraError):
    """The work may have been done and charged. Look it up first; never repeat the call blindly.

    `body` is the content of an unusable 2xx answer; None if there was no such answer.
    """

    def __init__(self, text: str, body: Any = None) -> None:
        super().__init__(text)
        self.body = body


class NotUnderstood(MaveraError):
    """Mavera's objects have unexpected fields: stop. The text names the setting that helps."""
