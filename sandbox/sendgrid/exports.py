"""SendGrid's contact exports: slow jobs, one at a time, and the files they leave in storage."""

import csv
import gzip
import hashlib
import io
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from sandbox.world import World

PENDING: Final = timedelta(seconds=0.3)  # minutes at the vendor; here just long enough to be observed
FILES: Final = 3  # regardless of max_file_size: a file of megabytes would need too many people
KEPT: Final = timedelta(days=3)

CONTACTS: Final = """
select
    email, first_name, last_name, null as address_line_1, city, region as state_province_region, country,
    (select phone from people where people.person_id = sendgrid_contacts.person_id) as phone_number,
    strftime(created_at, '%Y-%m-%dT%H:%M:%SZ') as created_at,
    strftime(updated_at, '%Y-%m-%dT%H:%M:%SZ') as updated_at,
    contact_id, role as custom_role, industry as custom_industry, signup_source, position
from sendgrid_contacts
where len($ids::varchar[]) = 0 or list_has_any(list_ids || segment_ids, $ids::varchar[])
order by position
"""


@dataclass(frozen=True)
class Export:
    """One job: its lists and segments (all contacts if there are none) and its format."""

    id: str
    file_type: str
    list_ids: Sequence[str]
    segment_ids: Sequence[str]
    contact_count: int
    begun: datetime

    @property
    def completed(self) -> datetime:
        return self.begun + PENDING

    @property
    def expires(self) -> datetime:
        return self.completed + KEPT

    @property
    def is_ready(self) -> bool:
        return datetime.now(UTC) >= self.completed


class Exports:
    """All jobs so far. A second one is refused while one is pending."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs: dict[str, Export] = {}
        self._lock = threading.Lock()

    def begin(self, file_type: str, list_ids: Sequence[str], segment_ids: Sequence[str]) -> Export | None:
        """Begin an export; None while another one runs."""
        with self._lock:
            if not all(job.is_ready for job in self._jobs.values()):
                return None
            query, ids = f"select count(*) from ({CONTACTS})", [*list_ids, *segment_ids]
            with self._world.cursor() as cursor:
                ((count,),) = cursor.execute(query, {"ids": ids}).fetchall()
            job = Export(str(uuid.uuid4()), file_type, list_ids, segment_ids, count, datetime.now(UTC))
            self._jobs[job.id] = job
            return job

    def get(self, export_id: str) -> Export | None:
        return self._jobs.get(export_id)

    def all(self) -> list[Export]:
        """Return every job, newest first."""
        return list(self._jobs.values())[::-1]

    def links(self, export: Export) -> list[str]:
        """Return the addresses of a finished export's files, below storage. A link works without a key."""
        return [
            f"{export.id}/{number}/contacts.{export.file_type}.gz"
            f"?signature={self._signature(export.id, number)}"
            for number in range(FILES)
        ]

    def file(self, export_id: str, number: int, signature: str) -> bytes | None:
        """Return a file, packed unless it is the second, whatever its name says; None for a wrong link."""
        export = self._jobs.get(export_id)
        if export is None or signature != self._signature(export_id, number):
            return None
        content = self._written(export, number)
        return content if number == 1 else gzip.compress(content, mtime=0)

    def _signature(self, export_id: str, number: int) -> str:
        return hashlib.sha256(f"{export_id}/{number}/{self._world.seed}".encode()).hexdigest()

    def _written(self, export: Export, number: int) -> bytes:
        """Return every third contact: CSV with capitalized headings, or JSON lines without empty fields."""
        query = f"from ({CONTACTS}) select * exclude (position) where position % {FILES} = $number"
        asked: dict[str, Any] = {"ids": [*export.list_ids, *export.segment_ids], "number": number}
        with self._world.cursor() as cursor:
            cursor.execute(query, asked)
            names = [column[0] for column in cursor.description or []]
            rows = cursor.fetchall()
        if export.file_type == "json":
            told = (
                {name: value for name, value in zip(names, row, strict=True) if value is not None}
                for row in rows
            )
            return b"".join(orjson.dumps(row) + b"\n" for row in told)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(name.upper() for name in names)
        writer.writerows(rows)
        return text.getvalue().encode()
