"""Which Mavera account a ledger belongs to, by keyed fingerprints of base URL and accepted keys.

With another account's key, all objects that were paid for would seem to be gone.
"""

from activate.errors import KeyRefused, LedgerError
from activate.kinds import KINDS
from activate.ledger.journal import Ledger
from activate.mavera import Mavera


def require(ledger: Ledger, mavera: Mavera, key: str) -> None:
    """Accept a key of the ledger's account. Raises LedgerError if it may belong to another account.

    The first key of a ledger is accepted unchecked. A later key is accepted if Mavera lists an object for it
    that the ledger knows. A key that Mavera refuses is not judged: no call with it can do anything.
    """
    if ledger.account.accepts(key):
        return
    try:
        is_ours = not ledger.account.has_account() or _lists_what_is_known(ledger, mavera)
    except KeyRefused:
        return
    if not is_ours:
        raise LedgerError(
            "MAVERA_API_KEY is new, and with it Mavera lists nothing that the ledger knows: nothing was "
            "sent. For another account, set LEDGER_URL to a ledger of its own. If it is the same account, "
            "run python -m activate settle --accept-key"
        )
    ledger.account.accept(key)


def _lists_what_is_known(ledger: Ledger, mavera: Mavera) -> bool:
    """Whether Mavera lists any known object; True for a ledger without objects."""
    known: dict[str, set[str]] = {}
    for key, entry in ledger.entries().items():
        if entry.remote_id:
            known.setdefault(key.partition("/")[0], set()).add(entry.thread_id or entry.remote_id)
    return not known or any(
        ids & {str(row["id"]) for row in KINDS[kind].rows(mavera)}
        for kind, ids in known.items()
        if kind in KINDS
    )
