"""Mavera in the sandbox: personas, focus groups, files, brand voices, generations and the Mave chat, with a
state file and credits that run out.

Where the vendor's pages leave something open, strict reads them in the way that hurts a careless client:
unknown and missing fields are refused, a chat answer has the reference's fields only. Lenient reads them as
the vendor's examples need it: unknown fields are ignored, defaults fill gaps, answers carry `validation`. Of
focus groups no reference is known: strict says its price only with the results, lenient at once, and each
spells its states in its own way, as it does those of a brand voice. Of generations strict speaks as the
reference does, lenient as the guide: apps, their ids and the text of an answer go by other names there.
Every change is committed before its answer leaves: a cut connection loses the answer, not the work.
"""

from typing import Final

KEY: Final = "mvra_live_sandbox0000000000000000"
REVOKED_KEY: Final = "mvra_live_revoked0000000000000000"
EXPIRED_KEY: Final = "mvra_live_expired0000000000000000"
