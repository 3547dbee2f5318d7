"""Every error of this room: the class says what may happen next, the text what a person has to do.

docs/architecture.md has the whole tree.
"""

from typing import Any


class ActivationError(Exception):
    """The text is one line without any secret, ready to be shown."""


class NotStarted(ActivationError):
    """Nothing was sent, and the text says what has to be done first."""


class UsageError(NotStarted):
    """The command cannot mean what was typed; the text says what it can."""


class RecordsError(NotStarted):
    """The rows or the templates cannot be used; the text names them and says what to do."""


class TwoRows(NotStarted):
    """Two rows ask for one record: nothing can be planned until the model gives one."""


class ApprovalError(NotStarted):
    """The file cannot be applied, nothing was sent; the text says what has moved and what to do."""


class LedgerError(ActivationError):
    """The ledger cannot be used as it is, so nothing more may be sent; the text says what to do."""


class MaveraError(ActivationError):
    """A request failed."""


class TryAgain(MaveraError):
    """Nothing was done and nothing charged. The same call may be made after `seconds` (None: a while)."""

    def __init__(self, text: str, seconds: float | None = None) -> None:
        super().__init__(text)
        self.seconds = seconds


class Refused(MaveraError):
    """Mavera read the call and said no; the same call would be refused again.

    `field` is the field that Mavera named, if it named one, and `said` its own message.
    """

    def __init__(self, text: str, field: str = "", said: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.said = said


class Withheld(Refused):
    """Nothing was sent, because of what would have been; the text names the field, never its value."""


class KeyRefused(Refused):
    """Every other call would be refused as well: stop."""


class OutOfCredits(MaveraError):
    """Nothing more can be bought: stop."""


class OutcomeUnknown(MaveraError):
    """The work may have been done and charged. Look first; never make the call again blindly.

    `body` is what an answer of 2xx said that could not be used; None where no such answer came.
    """

    def __init__(self, text: str, body: Any = None) -> None:
        super().__init__(text)
        self.body = body


class NotUnderstood(MaveraError):
    """Mavera's objects have other fields than expected: stop. The text names the setting that helps."""
