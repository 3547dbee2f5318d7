"""The dbt plugin that computes `person_id(address)`, a hash keyed by the salt of this project.

The key reaches DuckDB as a bound value of each connection, so neither SQL nor dbt's files show it. Before
there is a salt, as in unit tests of the models alone, the key is empty.
"""

from typing import Any, Final

from dbt.adapters.duckdb.plugins import BasePlugin

from common import settings
from privacy import pseudonyms

BLOCK: Final = 64  # bytes of SHA-256 that a key of HMAC fills
# HMAC-SHA-256 as in RFC 2104: the two keys are bound, which a macro cannot do.
PERSON_ID: Final = f"""
create or replace temporary macro person_id(address) as left(
    sha256(getvariable('outer_key') || unhex(sha256(getvariable('inner_key') || encode(address)))),
    {pseudonyms.PERSON_ID_CHARACTERS}
)
"""


class Plugin(BasePlugin):
    """Adds `person_id` to every connection of dbt."""

    def configure_connection(self, _connection: Any) -> None:
        """Read the salt once, when dbt opens the warehouse: it has hundreds of cursors."""
        key = pseudonyms.person_key(pseudonyms.salt(settings.load().salt_path)).ljust(BLOCK, b"\0")
        signs = {"inner_key": 0x36, "outer_key": 0x5C}
        self.keys = {name: bytes(byte ^ sign for byte in key) for name, sign in signs.items()}

    def configure_cursor(self, cursor: Any) -> None:
        for name, key in self.keys.items():
            cursor.execute(f"set variable {name} = ?", [key])
        cursor.execute(PERSON_ID)
