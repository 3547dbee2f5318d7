"""The dbt plugin that adds `person_id(address)`, a hash keyed by our salt, and the project's fingerprint."""

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from common import settings
from privacy import pseudonyms
from transform import statements


class Plugin(BasePlugin):
    """Adds `person_id` and the project's fingerprint to every connection of dbt."""

    def configure_connection(self, connection: Any) -> None:
        """Read the salt once, when dbt opens the warehouse: it has hundreds of cursors."""
        self.salt = pseudonyms.salt(settings.load().salt_path)
        self.fingerprint = statements.project_fingerprint(self.salt)
        connection.execute(statements.GROWN)

    def configure_cursor(self, cursor: Any) -> None:
        statements.prepare(cursor, self.salt, self.fingerprint)
