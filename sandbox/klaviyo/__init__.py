"""Klaviyo in the sandbox: account, profiles, segments and lists, flows, campaigns, metrics and events.

Where reports of the live service differ, what hurts a careless client is served: `data` of a relation only
when it is included, coordinates now as numbers, now as text, and HTML instead of JSON when a gateway fails.
"""

from typing import Final

KEY: Final = "pk_sandbox"
NARROW_KEY: Final = "pk_narrow"  # valid, without the scopes that show a person
