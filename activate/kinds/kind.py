"""The interface that each kind of Mavera object implements.

Each kind is a file in this folder and a line in `KINDS` (`__init__.py`). The base class has the behavior that
most kinds share: a POST to a list creates an object, the list shows it, and one field has our reference.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from activate.answers import Answer, answered, created_at, state_of
from activate.differences import Facts
from activate.errors import Refused
from activate.ledger.journal import Journal
from activate.ledger.rows import Call
from activate.likeness import (
    Reference,
    bears,
    beginning,
    letters,
    may_be,
    reference_in,
    without_reference,
)
from activate.mavera import Mavera
from activate.plan import Document, Entry, Record, Step, Terms
from common.settings import Settings

# Our clock and Mavera's may differ. A call may have made an object that is at most this much older.
CLOCKS_APART: Final = timedelta(days=1)
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
PAGE: Final = 100  # rows per request

# Words that a refusal may contain, each with its remedy. The last entry is for any other refusal.
Remedies = tuple[tuple[tuple[str, ...], str], ...]
WORKSPACE: Final = (("workspace",), "Set MAVERA_WORKSPACE_ID")


@dataclass(frozen=True)
class Draft:
    """One row of a sync model with its words, before its kind turns it into a request.

    `form` is a filled-in TOML template and `choice` has the job's other choices; both are empty if the kind
    has none. `mark` is the reference at the end of the text that is sent.
    """

    name: str
    facts: Facts
    text: str
    form: Mapping[str, Any]
    choice: Mapping[str, Any]
    documents: tuple[Document, ...]
    reference_count: int
    mark: str = ""

    @property
    def marked_text(self) -> str:
        return f"{self.text}\n\n{self.mark}"


class Waits(NamedTuple):
    """The limit before another request: at most `at_most` objects of `kind` may still be running."""

    kind: str
    at_most: int
    said: str


class Aim(NamedTuple):
    """The object that a request edits (None to create one), and the body for `update` or `create`.

    `original` is what the ledger must keep first: an object of the account's own before anything is added.
    """

    remote_id: str | None
    body: Mapping[str, Any]
    original: Mapping[str, Any] | None = None


class Found(NamedTuple):
    """The result of a search for an unresolved call: its answer, a doubt about it, or neither."""

    answer: Answer | None = None
    doubt: str = ""


class Listing(NamedTuple):
    """The remote objects of a kind: `present` by listed id, `unread` the number of threads not opened."""

    objects: Sequence["RemoteObject"]
    present: Mapping[str, "RemoteObject | None"]
    unread: int = 0


class Kind(ABC):
    """One kind of Mavera object. Stateless: one instance serves every account."""

    name: str  # as the ledger, plan files and `--json` spell it; never change it
    terms: Terms
    thing: str  # the word for one object in a message
    path: str  # where objects are created and listed
    seconds: float  # timeout of a creation: the longest silence on the connection
    page: int | None = PAGE
    words_file: str  # the template in the folder of a job
    choice_file: str = ""  # the file beside it with the job's other choices
    columns: tuple[str, ...] = ()  # those that only this kind's sync model has
    has_paragraphs: bool = False  # only empty lines break paragraphs in its template
    covers_words: bool = False  # the fingerprint covers the words, so that new wording reaches Mavera
    name_field: str  # the field of a listed object with its name
    reference_field: str  # the field with our reference
    echo: tuple[str, ...]  # the fields that are sent and that a list shows again
    results_field: str = ""  # the field with the results, if Mavera needs time for them
    is_listed_whole: bool = True  # False if a list shows threads, which must be opened
    has_own: bool = False  # accounts have objects of their own, which are counted but not touched
    declared_as: str = ""  # the kind whose facts and names it has, if not its own
    waits: Waits | None = None
    begins_early: bool = False  # other records refer to it, or Mavera works on it for minutes
    remedies: Remedies
    aside: str = ""  # shown in a plan beside the people; {count}: the number of records it refers to
    likeness: str = "the beginning of its name, or an earlier one"  # how an object was matched

    # Before sending

    @property
    def has_form(self) -> bool:
        """Whether a job's words are a form of several texts."""
        return self.words_file.endswith(".toml")

    @abstractmethod
    def payload(self, draft: Draft, settings: Settings) -> dict[str, Any]:
        """Return the body that creates the object, as far as it is known before the run."""

    @abstractmethod
    def complaint(self, draft: Draft, payload: Mapping[str, Any], settings: Settings) -> str:
        """Return why Mavera would reject it, with the remedy; or an empty string."""

    def covered(self, draft: Draft, job: str) -> dict[str, Any]:
        """Return the values that the fingerprint covers: when they change, the object is sent again."""
        return {"job": job, "facts": draft.facts}

    def chosen(self, choice: dict[str, Any], settings: Settings) -> dict[str, Any]:
        """Return the part of a job's choice that the settings allow."""
        return choice

    def references_field(self, settings: Settings) -> str:
        """Return the field for the ids of referenced records; empty if there is none."""
        return ""

    def leading_bodies(self, draft: Draft, payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield from ()

    # Sending

    def aimed(self, step: Step, payload: Mapping[str, Any], ledger: Journal, mavera: Mavera) -> Aim:
        """Return what a step sends to which object, by requests that are free.

        Called again before each request. Raises Withheld if it must not be sent after all.
        """
        return Aim(step.entry.remote_id if step.entry and step.edits else None, payload)

    def unfit(self, payload: Mapping[str, Any], mavera: Mavera) -> str:
        """Ask Mavera, for free, why it could not make this; return an empty string if it can."""
        return ""

    def completed(
        self, step: Step, ledger: Journal, mavera: Mavera, say: Callable[[str], None]
    ) -> dict[str, Any]:
        """Return the payload with the values that only Mavera has: ids of objects, addresses of files."""
        payload, record = dict(step.record.payload), step.record
        if record.references:
            referred = filter(None, map(ledger.entry, record.references))
            payload[record.references_field] = [entry.remote_id for entry in referred]
        return payload

    def look_ahead(self, step: Step, mavera: Mavera) -> None:  # noqa: B027 - most kinds read nothing
        """Begin the free requests that `completed` waits for, while other steps are sent."""

    def create(self, mavera: Mavera, payload: Mapping[str, Any]) -> Answer:
        """Create the object; also used for an update that does not edit in place."""
        return self.answered(mavera.charge(self.path, payload, self.seconds))

    def update(self, mavera: Mavera, remote_id: str, payload: Mapping[str, Any]) -> Answer:
        """Edit the object in place. The credits of the answer are its total so far."""
        raise NotImplementedError(f"{self.name} cannot be edited")

    def answered(self, body: Mapping[str, Any]) -> Answer:
        """Return a created or listed object as the answer to its creation."""
        results = self.results_field
        state = state_of(body.get("status"), body.get(results)) if results else "done"
        return answered(self.thing, body, state)

    def identified(self, body: Any) -> Answer | None:
        """Return an incomplete answer under any id it has; None if it has none."""
        return None

    # Listing

    def rows(self, mavera: Mavera) -> list[dict[str, Any]]:
        return mavera.rows(self.path, self.page)

    def listing(
        self,
        mavera: Mavera,
        calls: Sequence[Call] = (),
        since: datetime = LONG_AGO,
        at_most: int | None = None,
    ) -> Listing:
        """Return the remote objects of the account, in Mavera's order.

        If they must be opened: only the `at_most` newest that changed `since` then and are not in `calls`.
        """
        objects = [
            RemoteObject(self, str(row["id"]), str(row.get(self.reference_field) or ""), row)
            for row in self.rows(mavera)
        ]
        return Listing(objects, {one.remote_id: one for one in objects})

    def current(self, mavera: Mavera, remote_id: str) -> Answer:
        return self.answered(mavera.one(self.path, remote_id))

    def answer_of(self, mavera: Mavera, remote: "RemoteObject") -> Answer:
        """Return a listed object, with its current contents, as the answer to its creation."""
        return self.current(mavera, remote.remote_id)

    def fetched(self, mavera: Mavera, remote_id: str) -> "RemoteObject | None":
        """Return one object by the id that a person named; None if Mavera has no such object."""
        answer = self.current(mavera, remote_id)
        words = str(answer.body.get(self.reference_field) or "")
        return RemoteObject(self, answer.remote_id, words, answer.body)

    def opened_since(
        self, mavera: Mavera, since: datetime, known: frozenset[str]
    ) -> Iterator[tuple[str, str]]:
        """Yield the words and ids of objects that a list hides, if created since then and not `known`."""
        yield from ()

    # Finding lost answers

    def find_lost(self, call: Call, ledger: Journal, mavera: Mavera) -> Found:
        """Search Mavera for the object of an unresolved call, except among known objects."""
        known = Known(ledger.calls())
        listed = self.listing(mavera).objects
        new = [one for one in listed if one not in known]
        for one in new:
            if one.reference == reference_of(call):
                return Found(self.answer_of(mavera, one))
        for one in new:
            if one.may_come_from(call) and one.made_at >= call.begun_at - CLOCKS_APART:
                return Found(doubt=may_come_from(one.shown_id, call))
        return lacking(self, ledger, {one.remote_id for one in listed})

    def names(self, record: Record) -> Iterable[str]:
        """Return the texts by which `bears` recognizes an object of a record."""
        return map(without_reference, record.names)

    def shown_name(self, remote: "RemoteObject") -> str:
        """Return the text of an object that `bears` compares with these."""
        return remote.name

    def bears(self, remote: "RemoteObject", record: Record) -> bool:
        """Whether an object has a name of a record, in any form."""
        if remote.record_key:
            return remote.record_key == record.record_key
        return bears(self.shown_name(remote), self.names(record))


# --- remote objects ----------------------------------------------------------------------------------


class RemoteObject(NamedTuple):
    """One remote object as a list shows it; for analyses, one question of a thread with its answer."""

    of: Kind
    remote_id: str
    words: str
    body: Mapping[str, Any]
    answer: Answer | None = None

    @property
    def kind(self) -> str:
        return self.of.name

    @property
    def shown_id(self) -> str:
        """The id under which a person finds it in Mavera."""
        return self.answer.shown_id if self.answer else self.remote_id

    @property
    def name(self) -> str:
        """The name without our reference."""
        return without_reference(str(self.body.get(self.of.name_field) or ""))

    @property
    def made_at(self) -> datetime:
        return created_at(self.body)

    @property
    def reference(self) -> Reference | None:
        """The reference in its words; if they were truncated, the one in another text that it shows."""
        texts = (self.words, *self.shown)
        return next((found for text in texts if (found := reference_in(text))), None)

    @property
    def record_key(self) -> str:
        """The key of the record whose reference it carries; empty if it carries none."""
        return self.reference.record_key if self.reference else ""

    @property
    def fingerprint(self) -> str:
        """The part of that record's fingerprint that is in the reference."""
        return self.reference.fingerprint if self.reference else ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.record_key}" if self.record_key else ""

    @property
    def shown(self) -> list[str]:
        texts = map(self.body.get, self.of.echo) if self.of.is_listed_whole else [self.words]
        return [text for text in texts if isinstance(text, str) and text.strip()]

    def may_come_from(self, call: Call) -> bool:
        """Whether nothing in it shows that another call or another author made it."""
        if self.reference:
            return self.reference == reference_of(call)
        sent = [text for text in call.payload.values() if isinstance(text, str)]
        return not self.shown or any(may_be(shown, text) for shown in self.shown for text in sent)


class Bearers:
    """Records of one kind by their names, so that an object is compared only with those that it may be."""

    def __init__(self, kind: Kind, records: Sequence[Record]) -> None:
        self._kind, self._records = kind, records
        self._places = {record.record_key: place for place, record in enumerate(records)}
        self._named = sorted(
            (letters(name), place) for place, record in enumerate(records) for name in kind.names(record)
        )

    def of(self, one: RemoteObject) -> list[Record]:
        """Return the records whose name an object bears, in their order."""
        shown = self._kind.shown_name(one)
        places = {self._places[one.record_key]} if one.record_key in self._places else set()
        # A name is the whole of what is shown, or begins with it; see `likeness.bears`.
        for begin in {letters(shown), beginning(shown)} if letters(shown) else ():
            at = bisect_left(self._named, (begin, -1))
            while at < len(self._named) and self._named[at][0].startswith(begin):
                places.add(self._named[at][1])
                at += 1
        near = map(self._records.__getitem__, sorted(places))
        return [record for record in near if self._kind.bears(one, record)]


def borne(
    kind: Kind, records: Sequence[Record], objects: Sequence[RemoteObject]
) -> dict[str, list[RemoteObject]]:
    """Return, by record key and in the order of the records, the objects that bear a record's name."""
    index, found = Bearers(kind, records), {record.key: list[RemoteObject]() for record in records}
    for one in objects:
        for record in index.of(one):
            found[record.key].append(one)
    return {key: bearing for key, bearing in found.items() if bearing}


class Known:
    """The objects in the ledger; a question is known even if its answer had no id of its own."""

    def __init__(self, calls: Sequence[Call]) -> None:
        closed = [call for call in calls if call.state != "unknown"]
        self.ids = {name for call in closed for name in (call.remote_id, call.thread_id) if name}
        self._objects = {call.remote_id for call in closed}
        self._by_thread: dict[str, list[Call]] = {}
        for call in closed:
            if call.remote_id and call.remote_id == call.thread_id:
                self._by_thread.setdefault(call.remote_id, []).append(call)

    def __contains__(self, one: RemoteObject) -> bool:
        in_thread = self._by_thread.get(str(one.answer.thread_id), ()) if one.answer else ()
        return one.remote_id in self._objects or any(
            call.action == "let be" or one.may_come_from(call) for call in in_thread
        )


def unclaimed(objects: Sequence[RemoteObject], calls: Sequence[Call]) -> list[RemoteObject]:
    """Return the objects that the ledger does not know, without those of an unresolved call."""
    known = Known(calls)
    unresolved = {(call.kind, reference_of(call)) for call in calls if call.state == "unknown"}
    return [one for one in objects if one not in known and (one.kind, one.reference) not in unresolved]


def reference_of(call: Call) -> Reference:
    return Reference(call.record_key, call.fingerprint[:12])


def may_come_from(shown_id: str, call: Call) -> str:
    return (
        f"{shown_id} is newer and may be it: python -m activate settle {call.key} --adopt {shown_id}, or "
        f"drift --let-be {shown_id} where it is your own"
    )


def newest(ledger: Journal, kind: str) -> str | None:
    """Return the id of the latest remote object of a kind, if there is one."""
    sent = [
        (entry.called_at or LONG_AGO, entry.remote_id)
        for entry in ledger.entries(kind).values()
        if entry.remote_id
    ]
    return max(sent)[1] if sent else None


def marked(name: str, mark: str, most: int) -> str:
    """Append the reference to a name and shorten the name, never the reference, to `most` characters."""
    kept = name[: max(0, most - len(mark) - 3)]
    if kept.count('"') % 2:  # the closing quotation mark was cut off
        kept = kept[:-1] + ("" if kept.endswith('"') else '"')
    return f"{kept} | {mark}"


def shown_id(kind: Kind, entry: Entry) -> str | None:
    """Return the id under which a list shows a ledger entry."""
    return entry.remote_id if kind.is_listed_whole else entry.thread_id


def lacking(kind: Kind, ledger: Journal, listed: Container[str]) -> Found:
    """Doubt a list that lacks an object from the ledger: the searched object may be missing from it too."""
    entries = ledger.entries()
    for key, call in ledger.accepted().items():
        known = shown_id(kind, entries[key])
        if call.kind == kind.name and known and known not in listed:
            return Found(
                doubt=f"the list of {kind.name} lacks {known} ({key}), so it may lack this as well. Where "
                "that was deleted, python -m activate drift decides"
            )
    return Found()


def remedy(kind: Kind, error: Exception) -> str:
    """Return the remedy for a refusal; empty unless Mavera refused the record itself."""
    if not isinstance(error, Refused) or type(error) is not Refused:
        return ""
    named = f"{error.field} {error.said}".casefold()
    return next(remedy for words, remedy in kind.remedies if any(word in named for word in words))
