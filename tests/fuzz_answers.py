"""Changes one field of vendors' answers at a time and checks how ingest reacts.

    python -m tests.fuzz_answers --cases 500
    python -m tests.fuzz_answers --all

The answers of a small world are recorded once for each resource. A case plays them again with one field
changed, in one place or in all of them, or with another body. Reading must end with rows, with values set
aside, or with a message of this project, never with a Python error. Prints each case that fails, and exits 1
then.
"""

import copy
import json
import random
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from unittest.mock import patch

import requests
import typer

from common.settings import Settings
from ingest import pipeline
from ingest.errors import SourceError
from ingest.model import Batch, Job, Source
from ingest.typed import ChangedTypeError
from ingest.vendors import klaviyo, mavera, sendgrid, wistia
from sandbox import klaviyo as klaviyo_api
from sandbox import mavera as mavera_api
from sandbox import sendgrid as sendgrid_api
from sandbox import wistia as wistia_api
from sandbox.server import running
from sandbox.world import World

TODAY: Final = date(2026, 11, 21)
SOURCES: Final[tuple[Source, ...]] = (sendgrid.SENDGRID, wistia.WISTIA, klaviyo.KLAVIYO, mavera.MAVERA)
HISTORY_DAYS: Final = 21
MISSING: Final = object()
RAW: Final[Mapping[str, bytes]] = {
    "@nan": b"NaN",
    "@inf": b"-Infinity",
    "@huge": b"1e400",
    "@bytes": b'"\xff\xfe"',
}
"""Values that the module json does not write: what stands for each, and its bytes."""
VALUES: Final[tuple[Any, ...]] = (
    None, MISSING, "", " ", "soon", "NaN", "1,234.50", "1e17", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "a\ud83d", "a\u0000b", 7, -7, 1.5, 1e17, -1e300, 10**30, True, {}, {"a": 1}, [], [[]], [None], *RAW,
)  # fmt: skip
BODIES: Final = (
    b"", b"null", b"3", b'"text"', b"[]", b"{}", b"[null]", b"[1]", b'["a"]', b'{"other": 1}',
    b'{"data": null}', b'{"data": {}}', b'{"data": [{}]}', b'{"data": "x"}', b'{"result": 5}',
    b'{"results": [[]]}', b"\xff\xfe", b"<html>",
)  # fmt: skip
_ID: Final = re.compile(r"/(?=[^/]*\d)(?!v\d/|2\.0)[^/]+|(?<=/personas)/[^/]+")


class Asked(NamedTuple):
    """A request, as the key of its recorded answer."""

    method: str
    url: str
    params: str
    body: str


class Answer(NamedTuple):
    """A recorded answer."""

    status: int
    headers: dict[str, str]
    content: bytes


class Case(NamedTuple):
    """A change to the answers of one kind of path: to a field, or to the whole if the field is empty."""

    path: str
    field: tuple[str, ...]
    value: Any
    is_everywhere: bool

    def __str__(self) -> str:
        where = "everywhere" if self.is_everywhere else "once"
        value = "missing" if self.value is MISSING else repr(self.value)
        return f"{self.path} {'.'.join(self.field) or 'body'} = {value}, {where}"


def kind_of(url: str) -> str:
    return _ID.sub("/*", url.partition("//")[2].partition("/")[2])


@dataclass
class Recorded:
    """A resource with its answers from the sandbox."""

    job: Job
    answers: dict[Asked, Answer] = field(default_factory=dict)

    def cases(self) -> Iterator[Case]:
        """Yield every field of every kind of answer with every value, then every other body."""
        fields: dict[str, dict[tuple[str, ...], None]] = {}
        for asked, answer in self.answers.items():
            found = fields.setdefault(kind_of(asked.url), {})
            if _is_json(answer.content):
                found.update(dict.fromkeys(_fields(json.loads(answer.content))))
        for path, found in fields.items():
            for is_everywhere in (False, True):
                for name in found:
                    for value in VALUES:
                        yield Case(path, name, value, is_everywhere)
                for body in BODIES:
                    yield Case(path, (), body, is_everywhere)

    def play(self, case: Case, settings: Settings) -> Exception | None:
        """Read the resource with the changed answers; return the error that ended it, if any."""
        changes = [0]

        def ask(_: requests.Session, method: str, url: str, **named: Any) -> requests.Response:
            answer = self.answers.get(_asked(method, url, named)) or Answer(404, {}, b"{}")
            if kind_of(url) == case.path and (case.is_everywhere or not changes[0]):
                content = _changed(answer.content, case)
                changes[0] += content != answer.content
                answer = answer._replace(content=content)
            return _response(answer)

        job = job_of(self.job.source, self.job.resource.table.name, settings)
        job.client.vendor._backoff_seconds = (0.0, 0.0)
        with patch.object(requests.Session, "request", ask):
            return read(job)


def read(job: Job) -> Exception | None:
    batches: list[Batch] = []

    class Queue:
        def put(self, batch: Batch) -> None:
            batches.append(batch)

    pipeline._read(job, Queue(), 0.5, lambda _table, rows: rows)  # type: ignore[arg-type]
    return batches[-1].error


def _asked(method: str, url: str, named: Mapping[str, Any]) -> Asked:
    said = (json.dumps(named.get(name) or {}, sort_keys=True, default=str) for name in ("params", "json"))
    return Asked(method, url, *said)


def _response(answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers.update(answer.headers)
    response._content, response._content_consumed = answer.content, True  # type: ignore[attr-defined]
    return response


def _is_json(content: bytes) -> bool:
    return content[:1] in (b"{", b"[")


def _fields(told: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all fields, with `*` for elements of lists."""
    inner = told.items() if isinstance(told, dict) else (("*", each) for each in told[:5])
    for name, value in inner:
        yield (*above, name)
        if isinstance(value, dict | list):
            yield from _fields(value, (*above, name))


def _changed(content: bytes, case: Case) -> bytes:
    if not case.field:
        return bytes(case.value)
    if not _is_json(content):
        return content
    told = json.loads(content)
    if not _set(told, case):
        return content
    text = json.dumps(told).encode()
    return text.replace(json.dumps(case.value).encode(), RAW[case.value]) if _is_raw(case.value) else text


def _is_raw(value: Any) -> bool:
    return isinstance(value, str) and value in RAW


def _set(told: Any, case: Case, at: int = 0) -> bool:
    """Set the field of a case in an answer; return whether it was there."""
    name = case.field[at]
    places: list[Any]
    if name == "*":
        places = list(range(len(told))) if isinstance(told, list) else []
    else:
        places = [name] if isinstance(told, dict) and name in told else []
    is_set = False
    for place in reversed(places) if at + 1 == len(case.field) else places:
        if at + 1 < len(case.field):
            is_set |= _set(told[place], case, at + 1)
        elif case.value is MISSING:
            del told[place]
            is_set = True
        else:
            told[place], is_set = copy.copy(case.value), True
        if is_set and not case.is_everywhere:
            return True
    return is_set


def job_of(source: Source, name: str, settings: Settings) -> Job:
    key = source.key(settings)
    jobs = pipeline._jobs(source, key, settings, settings.now())
    (job,) = [job for job in jobs if job.resource.table.name == name]
    return job


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(
        _env_file=None,
        sendgrid_api_key=sendgrid_api.KEY,
        wistia_api_token=wistia_api.KEY,
        klaviyo_api_key=klaviyo_api.KEY,
        mavera_api_key=mavera_api.KEY,
        sendgrid_base_url=f"{url}/sendgrid/v3",
        wistia_base_url=f"{url}/wistia/v1",
        klaviyo_base_url=f"{url}/klaviyo/api",
        mavera_base_url=f"{url}/mavera/api/v1",
        warehouse_path=folder / "warehouse.duckdb",
        pipelines_path=folder / "pipelines",
        forgotten_path=folder / "forgotten.json",
        ledger_url=f"sqlite:///{folder / 'ledger.sqlite'}",
        history_days=HISTORY_DAYS,
        run_at=datetime(TODAY.year, TODAY.month, TODAY.day, 6, tzinfo=UTC),
    )


def fill(url: str) -> None:
    """Add a thread and a text to Mavera."""
    words = {"topic": "Repair", "target_audience": "Viewers"}
    for path, body in (
        ("mave/chat", {"message": "Who watches to the end?"}),
        ("generations", {"app_id": "email-writer", "input_data": words}),
    ):
        requests.post(
            f"{url}/mavera/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {mavera_api.KEY}"},
            timeout=10,
        ).raise_for_status()


@contextmanager
def recorded(folder: Path) -> Iterator[tuple[Settings, list[Recorded]]]:
    """Return every resource with the answers of a small world."""
    with running(World(60, 7, TODAY, since=date(2026, 11, 1)), limits="off") as url:
        settings = settings_of(url, folder)
        fill(url)
        found = [
            record(source, resource.table.name, settings)
            for source in SOURCES
            for resource in source.resources(settings)
            if resource.needs_key
        ]
    yield settings, found


def record(source: Source, name: str, settings: Settings) -> Recorded:
    kept = Recorded(job_of(source, name, settings))
    request = requests.Session.request

    def ask(session: requests.Session, method: str, url: str, **named: Any) -> requests.Response:
        answer = request(session, method, url, **named)
        headers = {name: text for name, text in answer.headers.items() if name.lower() == "content-type"}
        kept.answers[_asked(method, url, named)] = Answer(answer.status_code, headers, answer.content)
        return _response(kept.answers[_asked(method, url, named)])

    with patch.object(requests.Session, "request", ask):
        error = read(kept.job)
    assert error is None, f"{kept.job.name}: {error}"
    return kept


def is_told(error: Exception | None) -> bool:
    """Return whether reading succeeded, or ended with a message of this project."""
    return error is None or isinstance(error, SourceError | ChangedTypeError)


def play(chosen: list[tuple[Recorded, Case]], settings: Settings) -> list[str]:
    """Play cases; return a line for each that ended with a Python error, and its traceback."""
    bad = []
    for resource, case in chosen:
        error = resource.play(case, settings)
        if not is_told(error):
            trace = "".join(traceback.format_exception(error)[-3:])
            bad.append(f"{resource.job.name}: {case}: {type(error).__name__}\n{trace}")
    return bad


def sample(resources: list[Recorded], count: int, seed: int) -> list[tuple[Recorded, Case]]:
    """Return a random sample of the cases, drawn from a seed."""
    every = [(resource, case) for resource in resources for case in resource.cases()]
    return random.Random(seed).sample(every, min(count, len(every)))


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    cases: Annotated[int, typer.Option(help="How many cases to draw.")] = 500,
    seed: Annotated[int, typer.Option(help="What they are drawn from.")] = 0,
    only: Annotated[str, typer.Option(help="A part of the resource's name, such as klaviyo.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Play every case.")] = False,
) -> None:
    """Print each case that ended with a Python error, then how many were played."""
    with tempfile.TemporaryDirectory() as folder, recorded(Path(folder)) as (settings, resources):
        chosen = [resource for resource in resources if only in resource.job.name]
        bad: list[str] = []
        count = 0
        if all_:
            for resource in chosen:
                every = [(resource, case) for case in resource.cases()]
                found = play(every, settings)
                count, bad = count + len(every), bad + found
                typer.echo(f"{resource.job.name:<40} {len(every):>6} cases, {len(found)} bad", err=True)
        else:
            drawn = sample(chosen, cases, seed)
            count, bad = len(drawn), play(drawn, settings)
    for line in bad:
        typer.echo(line)
    typer.echo(f"{count:,} cases: {len(bad)} ended with an error of Python")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    app()
