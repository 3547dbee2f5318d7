"""The registry of vendors: the one list that every part goes by."""

from ingest.vendors.klaviyo import KLAVIYO
from ingest.vendors.mavera import MAVERA
from ingest.vendors.sendgrid import SENDGRID
from ingest.vendors.wistia import WISTIA

SOURCES = (SENDGRID, WISTIA, KLAVIYO, MAVERA)
