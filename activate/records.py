"""Turns rows of the activation models into Records: facts into words, and what keeps them here."""

import hashlib
import json
import re
import tomllib
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import jinja2
import jinja2.meta
import jinja2.sandbox

from activate import generations, personas, studies, voices
from activate.likeness import MARKER as MARKER  # how a lost answer is found again
from activate.plan import Document, Record
from common import assumptions, warehouse
from common.settings import ROOT, Settings
from privacy import firewall, pseudonyms

JOBS: Final = ROOT / "dbt_project" / "models" / "jobs"
# The file of words for each kind, in the folder of its job.
WORDS: Final = {
    "personas": "persona.md.j2",
    "brand-voices": "voice.md.j2",
    "analyses": "analysis.md.j2",
    "focus-groups": "study.toml",
    "generations": "generation.toml",
}
CHOICE: Final = "persona.toml"  # beside them, where a job chooses another pipeline than the usual one
NAMES: Final = "names.toml"  # names that records had in versions before, by kind
DECLARED: Final = "facts.toml"  # and which facts may be put into the words, by kind
EARLIER: Final = "earlier"  # the table in it of names that facts had before, by kind
REFERRED: Final = "personas"  # the kind whose record keys stand in reference_keys

NAME_CHARACTERS: Final = (2, 100)  # the reference's bounds
TEXT_FACT_CHARACTERS: Final = 200
LATER_COLUMNS: Final = ("withheld_reason", "mailable_count", "doubt")


class RecordsError(Exception):
    """The rows or the templates cannot be used; the text names them and says what to do."""


def marker(record_key: str, fingerprint: str) -> str:
    """Return the reference that ends every text, study name and title that is sent."""
    return f"Ref: {record_key} {fingerprint[:12]}"


def load(settings: Settings, kinds: Sequence[str], jobs: Path = JOBS) -> list[Record]:
    """Return the records that the published activation models ask for.

    Raises WarehouseError where there is no published copy, RecordsError where a model or template is missing
    or the two do not fit each other.
    """
    environment = _environment(jobs)
    wall = guard(settings)
    with warehouse.read_copy(settings.published_path) as connection:
        known: dict[str, set[str]] = {}
        for table, column in connection.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'activation'"
        ).fetchall():
            known.setdefault(table, set()).add(column)
        records = []
        for kind in kinds:
            model = f"sync_mavera__{kind.replace('-', '_')}"
            if model not in known:
                file = settings.published_path.name
                raise RecordsError(f"{file} has no activation.{model} yet. Run make transform")
            try:
                # What a copy that an earlier version published has not yet.
                later = [column if column in known[model] else "null" for column in LATER_COLUMNS]
                rows = connection.execute(
                    "select record_key, job, template, name, facts, fact_steps, person_count, reference_keys,"
                    f" {', '.join([*later, *(['documents'] if kind == 'brand-voices' else [])])}"
                    f" from activation.{model} order by record_key"
                ).fetchall()
            except duckdb.BinderException as error:
                reason = str(error).splitlines()[0]
                raise RecordsError(f"activation.{model} is another one than expected: {reason}") from None
            records += [_record(settings, environment, wall, kind, *row) for row in rows]
    return records


def guard(settings: Settings) -> firewall.Firewall:
    """Return what looks through everything that leaves, with those whom the published copy knows.

    Raises WarehouseError where there is no published copy, RecordsError where it was written by another salt.
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
    keys = [
        settings.sendgrid_api_key,
        settings.wistia_api_token,
        settings.klaviyo_api_key,
        settings.mavera_api_key,
    ]
    wall = firewall.Firewall(
        array("q", (each for (each,) in people)),
        salt,
        (key.get_secret_value() for key in keys if key),
        (studies.field(settings.mavera_study_fields, name) for name in ("workspace_id", "persona_ids")),
    )
    if people and not wall.knows(pseudonyms.SALTED):
        raise RecordsError(
            f"{settings.salt_path} is not the salt that {file} was written with: nobody would be recognised."
            " Bring it back, or run make publish"
        )
    return wall


def _record(
    settings: Settings,
    environment: jinja2.Environment,
    wall: firewall.Firewall,
    kind: str,
    record_key: str,
    job: str,
    template: str,
    name: str,
    facts_json: str,
    steps_json: str,
    person_count: int | None,
    references_json: str | None,
    withheld: str | None,
    mailable_count: int | None,
    doubt: str | None,
    documents_json: str = "[]",
) -> Record:
    """Render one row.

    A persona's fingerprint covers its words: an update is free, so new wording reaches Mavera. That of every
    other kind covers its facts alone: asking again costs credits, so new wording waits until a fact changes.
    A brand voice's covers its facts and the texts that it is made from.
    """
    facts, steps = _tidy(json.loads(facts_json)), json.loads(steps_json)
    references = tuple(f"{REFERRED}/{key}" for key in json.loads(references_json or "[]"))
    documents = tuple(
        Document(_tidy(one["name"]), _in_one_line(one["text"])) for one in json.loads(documents_json)
    )
    values = {"name": name, "facts": facts, "person_count": person_count}
    form: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    if WORDS[kind].endswith(".toml"):
        form = _form(environment, kind, record_key, template, **values)
        text = "\n".join(words for _, words in firewall.texts(form, "form"))
    else:
        text = _render(environment, kind, record_key, template, **values)
        if kind == "personas":
            choice = _choice(environment, record_key, template, **values)
            if settings.mavera_persona_shape != "examples":  # the reference knows no such field
                choice = {name: value for name, value in choice.items() if name not in personas.EXAMPLE}
    types, earlier, strange = _declared(environment, kind, record_key, template, facts)
    if form and references:
        facts = {**facts, "personas": list(references)}
    covered: dict[str, Any] = (
        {"name": name, "description": text} if kind == "personas" else {"job": job, "facts": facts}
    )
    if choice:
        covered["choice"] = choice
    if documents:
        covered["documents"] = documents
    fingerprint = _hash(covered)
    mark = marker(record_key, fingerprint)
    field = ""
    if kind == "focus-groups":
        marked = _marked(name, mark, assumptions.STUDY_NAME_CHARACTERS)
        payload = studies.payload(form, marked, settings.mavera_workspace_id, settings.mavera_study_fields)
        misfit = studies.complaint(form, len(references), settings.mavera_workspace_id)
        field = studies.field(settings.mavera_study_fields, "persona_ids")
    elif kind == "generations":
        marked = _marked(str(form.get("title")), mark, generations.TITLE_CHARACTERS)
        voice = settings.mavera_brand_voice_id
        payload = generations.payload(form, marked, settings.mavera_workspace_id, voice)
        misfit = generations.complaint(form, marked, len(references))
        field = "persona_id"
    elif kind == "brand-voices":
        payload = voices.payload(name, f"{text}\n\n{mark}", settings.mavera_workspace_id)
        misfit = voices.complaint(payload, documents, settings.mavera_transcripts_may_leave)
    else:
        payload = _payload(settings, kind, name, f"{text}\n\n{mark}", choice)
        misfit = _misfit(settings, kind, name, f"{text}\n\n{mark}", choice)
    # Facts are looked at before the text, so that the field named is one that the model can leave out.
    fields = [("record_key", record_key), ("name", name), *firewall.texts(facts, "facts"), ("the text", text)]
    # A template may put two facts side by side, and so may whoever reads them.
    fields += [("facts, side by side,", '", "'.join(_strings(facts))), *firewall.texts(choice, CHOICE)]
    fields += [("the name of a document", document.name) for document in documents]
    fields += [(f'the transcript of "{document.name}"', document.text) for document in documents]
    return Record(
        kind=kind,
        record_key=record_key,
        job=job,
        template=template,
        name=name,
        facts=facts,
        person_count=person_count,
        payload=payload,
        fingerprint=fingerprint,
        references=references,
        references_field=field,
        documents=documents,
        objection=wall.objection(fields) or strange or misfit or _withheld(wall, payload, documents),
        fact_steps=steps,
        fact_types=types,
        earlier_facts=earlier,
        wording=_wording(environment, kind, template, name, documents),
        withheld=withheld or "",
        earlier_names=_earlier_names(environment, kind, record_key, template, **values),
        mailable_count=mailable_count,
        doubt=doubt or "",
    )


def _withheld(wall: firewall.Firewall, payload: Mapping[str, Any], documents: Sequence[Document]) -> str:
    """Say what the last look at the bytes would hold, so that no plan shows it as sent, or nothing.

    Only what Mavera gives on the way is not in them yet: ids of other objects, addresses of uploaded files.
    """
    workspace_id = str(payload.get("workspace_id"))
    uploads = (voices.upload(each.name, len(each.text.encode()), workspace_id) for each in documents)
    return next(filter(None, (wall.objection_to(json.dumps(body)) for body in (*uploads, payload))), "")


def _wording(
    environment: jinja2.Environment, kind: str, template: str, name: str, documents: Sequence[Document]
) -> str:
    """Return a hash of what a fingerprint covers beside the facts; empty where that is nothing.

    Of a persona these are its name and the texts that its facts are put into, of a brand voice its documents.
    """
    if kind != "personas":
        return _hash(documents) if documents else ""
    words = words_of(kind, template)
    return _hash([name, *_sources(environment, words), *_sources(environment, _choice_of(template))])


def _sources(environment: jinja2.Environment, path: str) -> Iterator[str]:
    """Give the text of a template and of those it is built from; nothing where there is none."""
    assert environment.loader  # noqa: S101
    try:
        source, _, _ = environment.loader.get_source(environment, path)
    except jinja2.TemplateNotFound:
        return
    yield source
    for other in jinja2.meta.find_referenced_templates(environment.parse(source)):
        yield from _sources(environment, other or "")


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _marked(name: str, mark: str, most: int) -> str:
    """Put the reference at the end of a name that may have `most` characters; it is never cut itself."""
    kept = name[: max(0, most - len(mark) - 3)]
    if kept.count('"') % 2:  # the cut took the sign that ends a quotation
        kept = kept[:-1] + ("" if kept.endswith('"') else '"')
    return f"{kept} | {mark}"


def canonical(value: Any) -> str:
    """Write a value as JSON in which the order of keys cannot make a difference."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _payload(
    settings: Settings, kind: str, name: str, text: str, choice: Mapping[str, Any]
) -> dict[str, Any]:
    if kind == "analyses":
        workspace = {"workspace_id": settings.mavera_workspace_id} if settings.mavera_workspace_id else {}
        return {"message": text, **workspace}
    words = {"name": name, "description": text}
    if settings.mavera_persona_shape == "examples":
        return personas.example(choice, words)
    return personas.payload(choice, settings.mavera_persona_type, words)


def _misfit(settings: Settings, kind: str, name: str, text: str, choice: Mapping[str, Any]) -> str:
    low, high = NAME_CHARACTERS
    if choice.keys() - personas.EXAMPLE and settings.mavera_persona_shape == "examples":
        return f"MAVERA_PERSONA_SHAPE=examples sends no pipeline: take {CHOICE} away or set it to reference"
    if wrong := personas.complaint(choice):
        return wrong
    if kind == "personas" and not low <= len(name) <= high:
        return f"its name has {len(name)} characters, Mavera takes {low} to {high}"
    if kind == "analyses" and len(text) > assumptions.MESSAGE_CHARACTERS:
        return f"its message has {len(text):,} characters, the most is {assumptions.MESSAGE_CHARACTERS:,}"
    return ""


# --- words -------------------------------------------------------------------------------------------


def words_of(kind: str, template: str) -> str:
    """Return the file below the folder of jobs that holds the words of a record."""
    return f"{template.replace('-', '_')}/{WORDS[kind]}"


def shown(path: str) -> str:
    """Return the path of a job's file as a person types it."""
    return f"{JOBS.relative_to(ROOT)}/{path}"


def _choice_of(template: str) -> str:
    return f"{template.replace('-', '_')}/{CHOICE}"


def _environment(jobs: Path) -> jinja2.Environment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(jobs),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "percent": _percent, "money": _money}
    environment.filters |= {"data": _data, "said": _said}
    return environment


def _render(environment: jinja2.Environment, kind: str, record_key: str, template: str, **facts: Any) -> str:
    path = words_of(kind, template)
    with _told(kind, record_key, path):
        text = environment.get_template(path).render(
            record_key=record_key, entity=record_key.partition(":")[2], **facts
        )
    return (
        _paragraphs(text) if kind in {"personas", "brand-voices"} else re.sub(r"\n{3,}", "\n\n", text.strip())
    )


def _form(
    environment: jinja2.Environment, kind: str, record_key: str, template: str, **facts: Any
) -> dict[str, Any]:
    """Read what is asked for; only its texts are templates, so that no fact can change the rest."""
    path = words_of(kind, template)
    with _told(kind, record_key, path):
        assert environment.loader  # noqa: S101
        source, _, _ = environment.loader.get_source(environment, path)
        return _filled(environment, source, facts)


def _choice(environment: jinja2.Environment, record_key: str, template: str, **facts: Any) -> dict[str, Any]:
    """Read which pipeline a job chose for its personas; nothing where it did not choose."""
    path = _choice_of(template)
    assert environment.loader  # noqa: S101
    try:
        source, _, _ = environment.loader.get_source(environment, path)
    except jinja2.TemplateNotFound:
        return {}
    with _told("personas", record_key, path):
        choice: dict[str, Any] = _each_text(_filled(environment, source, facts), str.strip)
    return choice


def _earlier_names(
    environment: jinja2.Environment, kind: str, record_key: str, template: str, **facts: Any
) -> tuple[str, ...]:
    """Return the names that a record had in versions before, as its job lists them by kind, or none."""
    path = f"{template.replace('-', '_')}/{NAMES}"
    assert environment.loader  # noqa: S101
    try:
        source, _, _ = environment.loader.get_source(environment, path)
    except jinja2.TemplateNotFound:
        return ()
    with _told(kind, record_key, path):
        return tuple(_filled(environment, source, facts).get(kind, ()))


def _declared(
    environment: jinja2.Environment, kind: str, record_key: str, template: str, facts: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, str], str]:
    """Return as what the job declares each fact of this kind, by path, names that facts had in earlier
    versions with those of today, and what is wrong with `facts`.

    That names the first which is not declared, or is something else; it is empty where none is.
    """
    path = f"{template.replace('-', '_')}/{DECLARED}"
    with _told(kind, record_key, path):
        assert environment.loader  # noqa: S101
        source, _, _ = environment.loader.get_source(environment, path)
        read = tomllib.loads(source)
        declared, earlier = read.get(kind, {}), read.get(EARLIER, {}).get(kind, {})
        wrong = firewall.undeclared(facts, declared, "facts")
    said = f"{wrong} in {shown(path)}" if wrong else ""
    return dict(_by_path(declared)), earlier, said


def _by_path(declared: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give each declaration with its path, as in `outer[].inner`."""
    if isinstance(declared, Mapping):
        for name, inner in declared.items():
            yield from _by_path(inner, f"{path}.{name}" if path else name)
    elif isinstance(declared, list):
        yield from _by_path(declared[0], f"{path}[]")
    else:
        yield path, declared


def _filled(environment: jinja2.Environment, source: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = _each_text(
        tomllib.loads(source), lambda text: environment.from_string(text).render(**facts)
    )
    return filled


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _each_text(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_each_text(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


@contextmanager
def _told(kind: str, record_key: str, path: str) -> Iterator[None]:
    """Turn what goes wrong with a template into a line that names its file."""
    file = shown(path)
    try:
        yield
    except jinja2.TemplateNotFound as error:
        raise RecordsError(f"{kind}/{record_key} needs {shown(str(error.name))}, which is missing") from None
    except jinja2.TemplateSyntaxError as error:
        raise RecordsError(f"{file}, line {error.lineno}: {error.message}") from None
    except tomllib.TOMLDecodeError as error:
        raise RecordsError(f"{file} is not TOML: {error}") from None
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise RecordsError(f"{file} does not fit the facts of {kind}/{record_key}: {error}") from None


def _paragraphs(text: str) -> str:
    """Let a template break its lines where it likes: only empty lines count."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
    return "\n\n".join(filter(None, paragraphs))


def _count(value: int | None) -> str:
    return "an unknown number of" if value is None else f"{value:,}"


def _percent(share: float | None, digits: int = 0) -> str:
    """Write a share of 0 to 1 as people read it."""
    return "an unmeasured share" if share is None else f"{share * 100:.{digits}f} %"


def _money(amount: float | None, currency: str | None) -> str:
    """Write an amount with its currency; where nothing names the shop's, that is said."""
    if amount is None:
        return "an unknown amount"
    written = f"{amount:,.0f}" if amount == round(amount) else f"{amount:,.2f}"
    return f"{written} {currency}" if currency else f"{written} in the shop's currency"


def _data(facts: Mapping[str, Any]) -> str:
    """Write facts as JSON, one to a line. What was not measured is left out: null reads as none."""
    measured = _measured(facts)
    lines = (
        f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in measured.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}"


def _measured(value: Any) -> Any:
    """Return facts without those that are null, at any depth."""
    if isinstance(value, Mapping):
        return {name: _measured(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_measured(inner) for inner in value if inner is not None]
    return value


def _said(value: str) -> str:
    """Quote a text that a vendor's user wrote, such as a segment's name."""
    return '"' + value.replace('"', "'") + '"'


def _strings(value: Any) -> Iterator[str]:
    """Give the texts among facts, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(inner)


def _tidy(value: Any) -> Any:
    """Bring text facts, which anyone may have written, into one bounded line without control signs."""
    if isinstance(value, str):
        return _in_one_line(value)[:TEXT_FACT_CHARACTERS]
    if isinstance(value, Mapping):
        return {_tidy(name): _tidy(inner) for name, inner in value.items()}
    return [_tidy(inner) for inner in value] if isinstance(value, list) else value


def _in_one_line(text: str) -> str:
    printable = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    return " ".join(printable.replace("`", "'").split())
