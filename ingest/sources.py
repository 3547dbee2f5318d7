"""The vendors, in the one list that every part goes by."""

from ingest.klaviyo import KLAVIYO
from ingest.mavera import MAVERA
from ingest.sendgrid import SENDGRID
from ingest.wistia import WISTIA

SOURCES = (SENDGRID, WISTIA, KLAVIYO, MAVERA)
