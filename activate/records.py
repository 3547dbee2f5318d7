"""Turn rows of the activation models into Records: render facts as words and withhold what must not leave."""

import hashlib
import json
import re
import tomllib
import unicodedata
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import jinja2
import jinja2.meta
import jinja2.sandbox
import yaml

from activate import declarations
from activate.differences import Facts
from activate.errors import RecordsError
from activate.kinds import ENRICHED, KINDS, REFERRED, model_of
from activate.kinds.focus_groups import field as study_field
from activate.kinds.kind import Draft, Kind
from activate.likeness import MARKER as MARKER  # finds a lost answer again
from activate.plan import SPEAKS_TO, Document, Record
from activate.templates import Jobs, canonical, each_text, strings
from common import warehouse
from common.settings import ROOT, Settings
from privacy import firewall, pseudonyms

JOBS: Final = ROOT / "dbt_project" / "models" / "jobs"
NAMES: Final = "names.toml"  # names of records in earlier versions, by kind
TEXTS: Final = "texts.toml"  # texts that people edit, which a job's words may use as `texts`
TEXT_FACT_CHARACTERS: Final = 200
LATER_COLUMNS: Final = frozenset({"withheld_reason", "mailable_count", "doubt"})
ROWS_AT_ONCE: Final = 1_000
SHARED: Final = ("job", "template", "fact_steps", "withheld_reason", "doubt")
WORDS_KEPT: Final = 64  # of the records that were asked for last
OWN_COLUMNS: Final = frozenset({"documents", "persona"})  # columns that only some kinds' models have


class Row(NamedTuple):
    """A row of a sync model. Its JSON columns are not parsed yet."""

    record_key: str
    job: str
    template: str
    name: str
    facts: str
    fact_steps: str
    person_count: int | None
    reference_keys: str | None
    withheld_reason: str | None
    mailable_count: int | None
    doubt: str | None
    documents: str | None
    persona: str | None


SHARED_PLACES: Final = [Row._fields.index(name) for name in SHARED]


def marker(record_key: str, fingerprint: str) -> str:
    """Return the reference that ends every text, study name and title that is sent."""
    return f"Ref: {record_key} {fingerprint[:12]}"


def load(
    settings: Settings, kinds: Sequence[str], jobs: Path = JOBS, record_key: str | None = None
) -> list[Record]:
    """Return the records that the published activation models ask for, or the one with a record key.

    Every file is read once. The words of a record are made when they are asked for, and of the first record
    of each template at once, to see that they can be.

    Raises WarehouseError if there is no published copy, RecordsError if a model or template is missing or
    the two do not fit each other.
    """
    maker = _Maker(jobs, settings, guard(settings))
    with warehouse.read_copy(settings.published_path) as connection:
        known: dict[str, set[str]] = {}
        for table, column in connection.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'activation'"
        ).fetchall():
            known.setdefault(table, set()).add(column)
        beside = _enriched(connection, known)
        warned = _warned(connection, known)
        records: list[Record] = []
        for kind in map(KINDS.__getitem__, kinds):
            model = model_of(kind.name)
            if model not in known:
                file = settings.published_path.name
                raise RecordsError(f"{file} has no activation.{model} yet. Run make transform")
            of_kind = kind.declared_as or kind.name
            for row in _rows(connection, kind, model, known[model], record_key):
                if reason := warned.get((row.job, of_kind)):
                    row = row._replace(withheld_reason=row.withheld_reason or reason)
                records.append(maker.record(row, kind, beside))
                maker.prove(records[-1])
    return records


def _enriched(connection: duckdb.DuckDBPyConnection, known: Mapping[str, set[str]]) -> dict[str, str]:
    """Return the keys of the two records of each group that is mapped to a persona of the account's own."""
    model = model_of(ENRICHED)
    if model not in known:
        return {}
    keys = connection.execute(f"select record_key from activation.{model}").fetchall()
    pairs = [(f"{REFERRED}/{key}", f"{ENRICHED}/{key}") for (key,) in keys]
    return dict(pairs) | {enriched: ours for ours, enriched in pairs}


def _warned(
    connection: duckdb.DuckDBPyConnection, known: Mapping[str, set[str]]
) -> dict[tuple[str, str], str]:
    """Return why the records of a job and kind depend on rows of which a test warns."""
    if "warned" not in known:  # as in a copy of an earlier version
        return {}
    rows = connection.execute("select job, kind, reason from activation.warned").fetchall()
    return {(job, kind): reason for job, kind, reason in rows}


def _rows(
    connection: duckdb.DuckDBPyConnection, kind: Kind, model: str, columns: set[str], record_key: str | None
) -> Iterator[Row]:
    """Read a sync model; a copy that an earlier version published may lack LATER_COLUMNS."""
    lacking = {*LATER_COLUMNS} - columns | {*OWN_COLUMNS} - {*kind.columns}
    read = ["null" if name in lacking else name for name in Row._fields]
    try:
        found = connection.execute(
            f"select {', '.join(read)} from activation.{model} "
            "where ? is null or record_key = ? order by record_key",
            [record_key, record_key],
        )
    except duckdb.BinderException as error:
        reason = str(error).splitlines()[0]
        raise RecordsError(f"activation.{model} is not as expected: {reason}") from None
    kept: dict[str | None, str | None] = {}  # many rows have the same job, template, steps and reasons
    while rows := found.fetchmany(ROWS_AT_ONCE):
        for values in rows:
            row = list(values)
            for place in SHARED_PLACES:
                row[place] = kept.setdefault(row[place], row[place])
            yield Row(*row)


def guard(settings: Settings) -> firewall.Firewall:
    """Return the firewall, with the people in the published copy.

    Raises WarehouseError if there is no published copy, RecordsError if another salt wrote it.
    """
    file = settings.published_path.name
    with warehouse.read_copy(settings.published_path) as connection:
        try:
            people = connection.execute(
                "select stands_for from activation.known_people order by stands_for"
            ).fetchall()
        except duckdb.CatalogException:
            raise RecordsError(f"{file} has no activation.known_people yet. Run make transform") from None
    salt = pseudonyms.salt(settings.salt_path)
    wall = firewall.Firewall(
        array("q", (each for (each,) in people)),
        salt,
        settings.vendor_keys(),
        (study_field(settings.mavera_study_fields, name) for name in ("workspace_id", "persona_ids")),
    )
    if people and not wall.knows(pseudonyms.SALTED):
        raise RecordsError(
            f"{settings.salt_path} is not the salt that {file} was written with: nobody would be recognized."
            " Bring it back, or run make publish"
        )
    return wall


@dataclass(frozen=True)
class _Words:
    """What is made of a row: everything that would leave, and what it was made from."""

    draft: Draft
    payload: Mapping[str, Any]
    fact_steps: Facts
    fact_types: Mapping[str, str]
    earlier_facts: Mapping[str, str]
    files: "_Files"
    strange: str  # the first fact that does not follow the declarations

    @property
    def facts(self) -> Facts:
        return self.draft.facts

    @property
    def documents(self) -> tuple[Document, ...]:
        return self.draft.documents

    @property
    def wording(self) -> str:
        return _wording(self.files, self.draft)

    @property
    def earlier_names(self) -> tuple[str, ...]:
        kind = self.files.kind
        names: Mapping[str, Any] = self.files.toml(NAMES, is_optional=True)
        return tuple(names.get(kind.declared_as or kind.name, ()))


class _Wanted(Record):
    """The record of a row. What is made of its words is made when it is asked for.

    Only the fingerprint and the objection are kept, because every plan asks for them, and the names, because
    they are compared with those of all remote objects.
    """

    __slots__ = ("known_names", "maker", "row")
    maker: "_Maker"
    row: Row

    @property
    def names(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.known_names
        return names

    def __getattr__(self, name: str) -> Any:
        if name == "known_names":
            value = Record.names.__get__(self)
        elif name in {"fingerprint", "objection"}:
            value = getattr(self.maker, name)(self.row, self.kind)
        else:
            return getattr(self.maker.words(self.row, self.kind), name)
        object.__setattr__(self, name, value)
        return value


class _Maker:
    """Make records of rows, with the files of their jobs."""

    def __init__(self, jobs: Path, settings: Settings, wall: firewall.Firewall) -> None:
        self._jobs = Jobs(jobs)
        self._settings = settings
        self._wall = wall
        self._proven: set[tuple[str, str]] = set()
        self.words = lru_cache(maxsize=WORDS_KEPT)(self._words)
        self._files = lru_cache(maxsize=WORDS_KEPT)(self._files_of)
        self._unmarked = lru_cache(maxsize=WORDS_KEPT)(self._draft)

    def record(self, row: Row, kind: Kind, beside: Mapping[str, str]) -> Record:
        """Return the record of a row; when the values under its fingerprint change, it is sent again."""
        of_row: dict[str, Any] = {
            "kind": kind.name,
            "record_key": row.record_key,
            "job": row.job,
            "template": row.template or "",
            "name": row.name,
            "person_count": row.person_count,
            "target": row.persona or "",
            "beside": beside.get(f"{kind.name}/{row.record_key}", ""),
        }
        if not row.template:  # no job wants its group: nothing of it can be sent
            said = row.withheld_reason or ""
            return Record(**of_row, facts={}, payload={}, fingerprint="", objection=said)
        record = object.__new__(_Wanted)
        of_row |= {
            "references": tuple(beside.get(key, key) for key in _references(row)),
            "references_field": kind.references_field(self._settings),
            "withheld": "" if kind.terms.only_edits else row.withheld_reason or "",
            "mailable_count": row.mailable_count,
            "doubt": row.doubt or "",
            "removes": "",
            "maker": self,
            "row": row,
        }
        for name, value in of_row.items():
            object.__setattr__(record, name, value)
        return record

    def prove(self, record: Record) -> None:
        """Make the words of the first record of each template. Raises RecordsError if that fails."""
        if (record.kind, record.template) not in self._proven:
            self._proven.add((record.kind, record.template))
            record.payload  # noqa: B018 - made now

    def objection(self, row: Row, kind_name: str) -> str:
        """Return why the words of a row must not leave, or an empty string."""
        kind, words, wall = KINDS[kind_name], self.words(row, kind_name), self._wall
        return (
            (row.withheld_reason or "" if kind.terms.only_edits else "")
            or self._first_objection(row, words.draft, kind)
            or words.strange
            or kind.complaint(words.draft, words.payload, self._settings)
            or _withheld(wall, kind, words)
        )

    def _first_objection(self, row: Row, draft: Draft, kind: Kind) -> str:
        wall, facts = self._wall, draft.facts
        values: list[str] = []
        of_facts = _keys_and_values(facts, values)
        every = {
            row.record_key,
            row.name,
            '", "'.join(values),
            *of_facts,
            *_keys_and_values(draft.choice, []),
        }
        if not draft.documents and wall.pass_all(every) and wall.passes(draft.text):
            return ""
        return wall.objection(_fields(row, draft, kind))

    def fingerprint(self, row: Row, kind_name: str) -> str:
        kind = KINDS[kind_name]
        draft = (
            self._unmarked(row, kind_name)
            if kind.covers_words
            else _without_words(self._files(row, kind_name), kind)
        )
        covered = kind.covered(draft, row.job)
        if draft.choice:
            covered["choice"] = draft.choice
        if draft.documents:
            covered["documents"] = draft.documents
        return _hash(covered)

    def _files_of(self, row: Row, kind_name: str) -> "_Files":
        return _Files.of(row, KINDS[kind_name], self._jobs)

    def _draft(self, row: Row, kind_name: str) -> Draft:
        return _draft(self._files(row, kind_name), self._settings)

    def _words(self, row: Row, kind_name: str) -> _Words:
        kind, files = KINDS[kind_name], self._files(row, kind_name)
        draft = self._unmarked(row, kind_name)
        draft = replace(draft, mark=marker(row.record_key, self.fingerprint(row, kind_name)))
        declared, strange = files.declared()
        return _Words(
            draft=draft,
            payload=kind.payload(draft, self._settings),
            fact_steps=self._jobs.steps(row.fact_steps),
            fact_types=self._jobs.types_of(declared),
            earlier_facts=declared.earlier,
            files=files,
            strange=strange,
        )


def _without_words(files: "_Files", kind: Kind) -> Draft:
    """Return the draft of a kind whose fingerprint does not cover words: they need not be made for it."""
    return Draft(files.row.name, _facts(files, kind), "", {}, {}, _documents(files.row), 0)


def _facts(files: "_Files", kind: Kind) -> Facts:
    """Return the facts, with the personas that a form is for."""
    facts, references = files.values["facts"], _references(files.row)
    return {**facts, SPEAKS_TO: list(references)} if references and kind.has_form else facts


def _documents(row: Row) -> tuple[Document, ...]:
    read = json.loads(row.documents or "[]")
    return tuple(Document(_tidy(one["name"]), _in_one_line(one["text"])) for one in read)


def _draft(files: "_Files", settings: Settings) -> Draft:
    row, kind = files.row, files.kind
    form: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    if kind.has_form:
        form = files.toml(kind.words_file)
        text = "\n".join(words for _, words in firewall.texts(form, "form"))
    else:
        text = files.text()
    if kind.choice_file:
        read = files.toml(kind.choice_file, is_optional=True)
        choice = kind.chosen(each_text(read, str.strip), settings) if read else {}
    count = len(_references(row))
    return Draft(row.name, _facts(files, kind), text, form, choice, _documents(row), count)


def _references(row: Row) -> tuple[str, ...]:
    return tuple(f"{REFERRED}/{key}" for key in json.loads(row.reference_keys)) if row.reference_keys else ()


def _fields(row: Row, draft: Draft, kind: Kind) -> list[tuple[str, str]]:
    """Return every text that would leave, each with its name for an objection.

    Facts come before the text, so that an objection names a field that the model can leave out.
    """
    return [
        ("record_key", row.record_key),
        ("name", row.name),
        *firewall.texts(draft.facts, "facts"),
        ("the text", draft.text),
        # A template or a reader may put two facts side by side.
        ("facts, side by side,", '", "'.join(strings(draft.facts))),
        *firewall.texts(draft.choice, kind.choice_file),
        *(("the name of a document", document.name) for document in draft.documents),
        *((f'the transcript of "{document.name}"', document.text) for document in draft.documents),
    ]


def _withheld(wall: firewall.Firewall, kind: Kind, words: _Words) -> str:
    """Return why the final check of the bytes would withhold a record, so that no plan shows it as sent.

    These bytes lack only what Mavera provides during the run: ids of objects, addresses of uploaded files.
    Its text was looked at before.
    """
    bodies = (*kind.leading_bodies(words.draft, words.payload), words.payload)
    text = words.draft.text
    return next(filter(None, (wall.objection_in(body, passed=text) for body in bodies)), "")


def _wording(files: "_Files", draft: Draft) -> str:
    """Return a hash of the values besides the facts that a fingerprint covers; empty if there are none.

    If it covers the words, these values are the name and the templates.
    """
    if files.kind.covers_words:
        text = f"[{canonical(draft.name)},{files.sources()[1:]}"
        return hashlib.sha256(text.encode()).hexdigest()
    return _hash(draft.documents) if draft.documents else ""


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


# --- words -------------------------------------------------------------------------------------------


def words_of(kind: str, template: str) -> str:
    """Return the file with the words of a record, below the folder of jobs."""
    return f"{template.replace('-', '_')}/{KINDS[kind].words_file}"


def shown(path: str) -> str:
    """Return the path of a job's file as a person types it."""
    return f"{JOBS.relative_to(ROOT)}/{path}"


@dataclass(frozen=True)
class _Files:
    """The files of a job, to be filled with the facts of one row; `values` are those a template may name."""

    row: Row
    kind: Kind
    jobs: Jobs
    values: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row, kind: Kind, jobs: Jobs) -> "_Files":
        types: Mapping[str, Any] = {}
        with suppress(RecordsError):  # `declared` raises it again, after the words were read
            types = cls(row, kind, jobs, {})._declarations().types
        facts = {
            _line(name): _tidied(fact) if types.get(name) == "text" else _tidy(fact)
            for name, fact in json.loads(row.facts).items()
        }
        values = {"name": row.name, "facts": facts, "person_count": row.person_count}
        return cls(row, kind, jobs, values)

    def text(self) -> str:
        path, key = words_of(self.kind.name, self.row.template), self.row.record_key
        texts = self.toml(TEXTS, is_optional=True)
        with self._naming(path):
            text = self.jobs.template(path).render(
                record_key=key, entity=key.partition(":")[2], texts=texts, **self.values
            )
        if not self.kind.has_paragraphs:
            return re.sub(r"\n{3,}", "\n\n", text.strip())
        # Only empty lines separate paragraphs.
        paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
        return "\n\n".join(filter(None, paragraphs))

    def toml(self, name: str, *, is_optional: bool = False) -> dict[str, Any]:
        """Read a file; only its texts are templates, so that no fact can change the rest."""
        path = self._path(name)
        if is_optional and not self.jobs.has(path):
            return {}
        with self._naming(path):
            read, has_facts = self.jobs.toml(path)
            filled: dict[str, Any] = each_text(read, self._filled) if has_facts else read
        return filled

    def _filled(self, text: str | jinja2.Template) -> str:
        return text if isinstance(text, str) else text.render(self.values)

    def declared(self) -> tuple[declarations.Declared, str]:
        """Return the declarations of this kind, and the first fact that does not follow them, if any."""
        path, declared = declarations.file_of(self.row.template), self._declarations()
        with self._naming(path):
            wrong = firewall.undeclared(self.values["facts"], declared.types, "facts")
        return declared, f"{wrong} in {shown(path)}" if wrong else ""

    def _declarations(self) -> declarations.Declared:
        path = declarations.file_of(self.row.template)
        with self._naming(path):
            declared = self.jobs.declared(path)
            return declared.get(self.kind.declared_as or self.kind.name, declarations.Declared())

    def sources(self) -> str:
        """Return, as JSON, the texts of the files that hold the words, and of the templates they include."""
        return self.jobs.sources(
            *(self._path(name) for name in (self.kind.words_file, self.kind.choice_file, TEXTS))
        )

    def _path(self, name: str) -> str:
        return f"{self.row.template.replace('-', '_')}/{name}"

    @contextmanager
    def _naming(self, path: str) -> Iterator[None]:
        try:
            yield
        except (jinja2.TemplateError, yaml.YAMLError, TypeError, ValueError) as error:
            raise _unfit(error, shown(path), f"{self.kind.name}/{self.row.record_key}") from None


def _unfit(error: Exception, file: str, key: str) -> RecordsError:
    match error:
        case jinja2.TemplateNotFound():
            return RecordsError(f"{key} needs {shown(str(error.name))}, which is missing")
        case jinja2.TemplateSyntaxError():
            return RecordsError(f"{file}, line {error.lineno}: {error.message}")
        case tomllib.TOMLDecodeError():
            return RecordsError(f"{file} is not TOML: {error}")
        case yaml.YAMLError():
            return RecordsError(f"{file} is not YAML: {' '.join(str(error).split())}")
    return RecordsError(f"{file} does not fit the facts of {key}: {error}")


def _keys_and_values(value: Any, strings: list[str]) -> list[str]:
    """Return what `firewall.texts` yields, without the names of fields; add the texts alone to `strings`."""
    found: list[str] = []
    left = [value]
    while left:
        inner = left.pop()
        if isinstance(inner, str):
            strings.append(inner)
        elif isinstance(inner, dict):
            found += inner
            left += reversed(inner.values())
        elif isinstance(inner, list):
            left += reversed(inner)
        elif type(inner) is int:
            found.append(str(inner))
    return found + strings


@lru_cache(maxsize=2**14)
def _line(text: str) -> str:
    return _in_one_line(text)[:TEXT_FACT_CHARACTERS]


def _tidy(value: Any) -> Any:
    """Turn text facts, which anyone may have written, into one bounded line without control characters."""
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, dict):
        return {_line(name): _tidy(inner) for name, inner in value.items()}
    return [_tidy(inner) for inner in value] if isinstance(value, list) else value


def _tidied(text: str | None) -> str | None:
    """Tidy each line of a longer text."""
    return None if text is None else "\n".join(filter(None, map(_in_one_line, text.splitlines())))


def _in_one_line(text: str) -> str:
    printable = text
    if not text.isprintable():
        printable = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    return " ".join(printable.replace("`", "'").split())
