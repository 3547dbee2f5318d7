"""The registry of vendors: the one list that loading, checking keys, the firewall and forgetting use."""

from common.settings import Settings
from ingest.typed import Table
from ingest.vendors.klaviyo import KLAVIYO
from ingest.vendors.mavera import MAVERA
from ingest.vendors.sendgrid import SENDGRID
from ingest.vendors.wistia import WISTIA

SOURCES = (SENDGRID, WISTIA, KLAVIYO, MAVERA)


def tables_of(settings: Settings) -> list[Table]:
    """Return the raw tables of every vendor."""
    return [resource.table for source in SOURCES for resource in source.resources(settings)]
