"""The dbt plugin that adds `person_id(address)`, a hash keyed by the salt of this project."""

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from common import settings
from privacy import pseudonyms


class Plugin(BasePlugin):
    """Adds `person_id` to every connection of dbt."""

    def configure_connection(self, _connection: Any) -> None:
        """Read the salt once, when dbt opens the warehouse: it has hundreds of cursors."""
        self.salt = pseudonyms.salt(settings.load().salt_path)

    def configure_cursor(self, cursor: Any) -> None:
        pseudonyms.define_person_id(cursor, self.salt)
