"""Klaviyo in the sandbox: account, profiles, segments and lists, flows, campaigns, metrics and events.

Where reports of the live service differ, the sandbox does whatever hurts a careless client: `data` of a
relation only when it is included, coordinates as numbers or as text, HTML instead of JSON when a gateway
fails.
"""

from typing import Final

KEY: Final = "pk_sandbox"
NARROW_KEY: Final = "pk_narrow"  # valid, without the scopes for people
