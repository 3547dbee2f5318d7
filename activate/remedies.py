"""What a person can set where Mavera refuses what was sent."""

from activate.mavera import Refused
from activate.studies import STUDY_WORDS

SHAPE = (
    "set MAVERA_PERSONA_SHAPE to the other shape (reference or examples), or change the job's persona.toml"
)
# By kind, the words that a refusal may name, and what helps. The last entry of a kind is for any other.
REMEDIES = {
    "personas": (
        (("psychographic",), "Take [psychographic] out of the job's persona.toml"),
        (("workspace",), "Set MAVERA_WORKSPACE_ID"),
        (("",), SHAPE[0].upper() + SHAPE[1:]),
    ),
    "focus-groups": (
        (("workspace",), "Set MAVERA_WORKSPACE_ID"),
        (("persona",), "See with python -m activate drift whether its personas are in Mavera"),
        (STUDY_WORDS, "Say in MAVERA_STUDY_FIELDS what Mavera calls the field"),
        (("",), "Change the job's study.toml, or MAVERA_STUDY_FIELDS"),
    ),
    "brand-voices": (
        (("workspace",), "Set MAVERA_WORKSPACE_ID"),
        (("",), "Change the job's voice.md.j2"),
    ),
    "analyses": (
        (("workspace",), "Set MAVERA_WORKSPACE_ID"),
        (("",), "Change the job's analysis.md.j2"),
    ),
    "generations": (
        (("workspace",), "Set MAVERA_WORKSPACE_ID"),
        (("voice",), "Set MAVERA_BRAND_VOICE_ID"),
        (("",), "Change the job's generation.toml"),
    ),
}


def of(kind: str, error: Exception) -> str:
    """Return what to do about a refusal; nothing where Mavera said more than that a record is wrong."""
    if not isinstance(error, Refused) or type(error) is not Refused:
        return ""
    named = f"{error.field} {error.said}".casefold()
    return next(remedy for words, remedy in REMEDIES[kind] if any(word in named for word in words))
