"""Mavera in the sandbox: personas, focus groups, files, brand voices, generations and the Mave chat, with a
state file and credits that run out.

Where the vendor's documentation is ambiguous, strict chooses the reading that hurts a careless client. It
refuses unknown and missing fields, and a chat answer has only the fields of the reference. Lenient chooses
the reading that the vendor's examples need: unknown fields are ignored, defaults fill gaps, answers carry
`validation`. No reference of focus groups exists: strict gives its price only with the results, lenient at
once, and each has its own spelling of states, as for a brand voice. For generations, strict follows the
reference and lenient the guide: apps, their ids and the text of an answer have other names there. Every
change is committed before its answer is sent: a cut connection loses the answer, not the work.
"""

from typing import Final

KEY: Final = "mvra_live_sandbox0000000000000000"
REVOKED_KEY: Final = "mvra_live_revoked0000000000000000"
EXPIRED_KEY: Final = "mvra_live_expired0000000000000000"
