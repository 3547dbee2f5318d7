"""What a run says about failures, missing scopes and the clock: one line each, with the remedy."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

import duckdb
import requests
from dlt.pipeline.exceptions import PipelineStepFailed

from common.settings import Settings
from ingest.errors import OutageError, RefusedError, SourceError
from ingest.model import Job
from ingest.typed import ChangedTypeError
from privacy import outside


def clock(jobs: Sequence[Job]) -> list[str]:
    """Return one line if the clock is behind rows that were loaded before."""
    ahead = [job for job in jobs if job.last is not None and job.last > job.now]
    if not ahead:
        return []
    now, latest = ahead[0].client.started_at, max(f"{job.last:%Y-%m-%d %H:%M}" for job in ahead)
    line = (
        f"the clock says {now:%Y-%m-%d %H:%M} UTC, but loads reach to {latest}: set the clock, or RUN_AT, "
        "right. Nothing is lost, no cursor moved back"
    )
    return [line]


def lacking(jobs: Sequence[Job]) -> list[str]:
    """Return one line for each optional scope that a key lacks, with the tables that were not read."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        if job.is_skipped:
            lacking.setdefault((job.source.name, job.resource.scope), []).append(job.resource.table.name)
    return [
        f"{name}: the key lacks {scope}: {', '.join(tables)} not loaded. Add the scope to the key to get them"
        for (name, scope), tables in lacking.items()
    ]


def errors(jobs: Sequence[Job], settings: Settings) -> list[str]:
    """Return one line for each failure: what happened, then the remedy. An answer that several resources
    share, as in an outage or with a wrong key, is reported once.
    """
    said: dict[str, None] = {}
    failed = [job for job in jobs if job.error is not None and job.has_failed]
    alike: dict[str, list[Job]] = {}
    for job in failed:
        alike.setdefault(_cause(job), []).append(job)
    for job in failed:
        together = alike[_cause(job)]
        line = _said_once(together, jobs, settings) if len(together) > 1 else ""
        line = line or _error(job, jobs, settings)
        said[line] = None
        job.outcome.detail = line
    return list(said)


def _cause(job: Job) -> str:
    """Return the part that is the same for resources that failed for one reason."""
    name, error = job.source.name, job.error
    if isinstance(error, OutageError):
        return f"{name} outage"
    return f"{name} {error.status}" if isinstance(error, RefusedError) else job.name


def _said_once(failed: Sequence[Job], jobs: Sequence[Job], settings: Settings) -> str:
    """Return one line for an answer shared by all of `failed`; "" if each needs a line of its own."""
    source, error = failed[0].source, failed[0].error
    asked = [job for job in jobs if job.source is source and job.resource.needs_key]
    host, base_url = urlsplit(failed[0].client.vendor.base_url).netloc, f"{source.name.upper()}_BASE_URL"
    names = ", ".join(job.resource.table.name for job in failed[:3])
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    is_whole = len(failed) == len(asked)
    stay = "Nothing loaded from it" if is_whole else f"Not loaded: {names}{more}"
    if isinstance(error, OutageError):
        ((problem, _),) = Counter(str(getattr(job.error, "problem", "")) for job in failed).most_common(1)
        what = f"{host} answers {problem}" if problem.isdigit() else f"{host} cannot be reached ({problem})"
        do = f"check network, proxy and {base_url}" if not problem.isdigit() else "the vendor is in trouble"
        return f"{source.name}: {what}: {do}. {stay}; the next run reads it again"
    if not isinstance(error, RefusedError) or source.explain(error, settings):
        return ""
    if error.status == requests.codes.unauthorized and not failed[0].is_refused:
        return ""
    if failed[0].is_refused:
        lacks = f"{source.name} refused {source.key_name} ({error.status}) everywhere: it lacks every scope"
        return f"{lacks}, or is another's. {stay}. Run make doctor" if is_whole else ""
    what = f"{source.name}: {host} answers {error.status} to {names}{more}"
    return f"{what}: check {base_url}. Not loaded; the next run asks again"


def _error(job: Job, jobs: Sequence[Job], settings: Settings) -> str:
    """Return one line that says why a resource failed, with the remedy."""
    loaded = {each.source.name for each in jobs if each.error is None}
    others = ", the other sources were" if loaded - {job.source.name} else ""
    name, error = job.source.name, job.error
    if isinstance(error, RefusedError):
        explained = job.source.explain(error, settings)
        if job.is_refused and job.resource.scope:
            stays = f"stays at {job.last:%d %b}" if job.last else "stays as it is"
            explained = (
                f"{name}: the key lacks {job.resource.scope} ({error.status} on {error.path}). "
                f"Add it; {job.resource.table.name} {stays}"
            )
        elif error.status == requests.codes.unauthorized:
            explained = (
                f"{name} refused {job.source.key_name} (401): nothing loaded from it{others}. Run make doctor"
            )
        return explained or f"{job.name}: {outside.words(error)}. Not loaded; the next run asks again"
    if isinstance(error, SourceError):
        return f"{job.name}: {outside.words(error)}. Not loaded; the next run reads it again"
    if isinstance(error, ChangedTypeError):
        return outside.words(error)
    if isinstance(error, PipelineStepFailed | duckdb.Error):
        said, *_ = [*str(error).splitlines(), type(error).__name__]
        return f"{job.name}: {outside.words(said)}. Not loaded; the next run reads it again"
    # A bug in this program, whose wording would not help the reader.
    what = f"an answer that this version cannot read ({type(error).__name__})"
    return f"{job.name}: {what}. Not loaded; python -m ingest {name} --debug shows where"
