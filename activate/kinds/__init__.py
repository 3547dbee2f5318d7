"""The kinds of Mavera objects, one file each. To add a kind, add its file and a line here."""

from collections.abc import Container, Mapping, Sequence
from typing import Final

from activate.kinds.analyses import Analyses
from activate.kinds.brand_voices import BrandVoices
from activate.kinds.enriched_personas import EnrichedPersonas
from activate.kinds.focus_groups import FocusGroups
from activate.kinds.generations import Generations
from activate.kinds.kind import Kind
from activate.kinds.personas import Personas
from activate.ledger.journal import Journal
from activate.plan import Record, Terms

PERSONAS: Final = Personas()
ENRICHED_PERSONAS: Final = EnrichedPersonas()
BRAND_VOICES: Final = BrandVoices()
ANALYSES: Final = Analyses()
FOCUS_GROUPS: Final = FocusGroups()
GENERATIONS: Final = Generations()

# By name, in the order of sending.
KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (PERSONAS, ENRICHED_PERSONAS, BRAND_VOICES, ANALYSES, FOCUS_GROUPS, GENERATIONS)
}
REFERRED: Final = PERSONAS.name  # the kind that reference_keys refers to
ENRICHED: Final = ENRICHED_PERSONAS.name  # the kind that is referred to instead, where a group has a row


def model_of(kind: str) -> str:
    """Return the name of the activation model with the wanted records of a kind."""
    return f"sync_mavera__{kind.replace('-', '_')}"


def amended(wanted: Sequence[Record], chosen: Container[str], ledger: Journal) -> Sequence[Record]:
    """Return the wanted records, and what is to be removed because no row asks for it any more."""
    return ENRICHED_PERSONAS.amended(wanted, ledger) if ENRICHED in chosen else wanted


def terms(
    paid: Mapping[str, Sequence[int]] | None = None, paid_for_edits: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Terms]:
    """Return the terms of each kind, with the prices learned from Mavera's answers (oldest first)."""
    paid, edits = paid or {}, paid_for_edits or {}
    return {name: kind.terms.learned(paid.get(name, ()), edits.get(name, ())) for name, kind in KINDS.items()}
