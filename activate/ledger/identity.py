"""The Mavera account that a ledger belongs to, as keyed fingerprints, and the secret that seals plans."""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from activate.ledger.rows import identity

SEALED_BY: Final = "secret"


class Identity:
    """The secret and accounts of one ledger; the table is missing until the first writer creates it."""

    def __init__(self, engine: sa.Engine, destination: str, guard: Callable[[sa.Connection], None]) -> None:
        self._engine = engine
        self._destination = destination
        self._guard = guard

    def seal_of(self, text: str) -> str:
        """Return a text's seal, which only this ledger can compute; "" before it has a secret."""
        secret = self._rows().get(SEALED_BY, "")
        return hmac.digest(bytes.fromhex(secret), text.encode(), "sha256").hex() if secret else ""

    def has_account(self) -> bool:
        return bool(self._rows().keys() - {SEALED_BY})

    def accepts(self, key: str) -> bool:
        return self._fingerprint(key) in self._rows()

    def accept(self, key: str) -> None:
        with self._engine.begin() as connection:
            self._guard(connection)
            row = {"name": self._fingerprint(key), "value": datetime.now(UTC).isoformat()}
            connection.execute(sa.insert(identity).values(row))

    def _fingerprint(self, key: str) -> str:
        return self.seal_of(f"{self._destination}\n{key}")

    def _rows(self) -> dict[str, str]:
        if not sa.inspect(self._engine).has_table(identity.name):
            return {}
        with self._engine.connect() as connection:
            return {row.name: row.value for row in connection.execute(sa.select(identity))}
