"""SendGrid's v3 API in the sandbox: single sends, the statistics of the account by day, and its contacts.

Every figure is a sum over the population's mail. The vendor's breakdowns are available: opens by device and
client, clicks by browser, both by country, deliveries by mailbox provider, never two of them crossed.
"""

from typing import Final

KEY: Final = "SG.sandbox"
NARROW_KEY: Final = "SG.narrow"  # valid, without any statistics of the account
WRITING_KEY: Final = "SG.writing"  # has more permissions than any reader needs
