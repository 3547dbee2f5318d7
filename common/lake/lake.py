"""Changes a lake: what a command adds, replaces or removes counts from `commit` on, in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from common.lake.files import File, stored, stored_schema
from common.lake.shown import LOAD_ID, ShownLake, chosen_of, quoted
from common.lake.state import (
    OPERATIONS,
    Commit,
    arrow_schema,
    stored_as,
)
from common.settings import Settings

ROWS_AT_ONCE: Final = 100_000
SMALL_BYTES: Final = 64_000_000
"""Files below it are joined once there are `MANY` of a table: an engine opens every file."""
MANY: Final = 16
SUPERSEDED_SHARE: Final = 0.2
"""A table with a larger share of rows in files that replace earlier rows is written anew."""


class Lake(ShownLake):
    """A lake that may be changed by the process that has its lock."""

    def keep_operations(self) -> None:
        """Write the tables of `raw_ops` into files as well, for Spark; then commit."""
        self.commit()
        for relation, rows in self._before.items():
            self.replace(relation, rows)
        self.commit()

    def append(self, relation: str, rows: pa.Table, *, holds_newer: bool) -> None:
        """Add rows, which bring their load id along."""
        file = self._written(relation, rows.to_batches(), rows.schema, holds_newer=holds_newer)
        self._added.append(file)

    def fill(self, relation: str, source: str) -> None:
        """Let a table have the rows of a table in another database, a part at a time."""
        self._drop_all(relation)
        there = {name for name, *_ in self.connection.execute(f"describe {source}").fetchall()}
        chosen = chosen_of(self.columns[relation], there)
        if self.connection.execute(f"select 1 from {source} limit 1").fetchone():
            query = f"select {chosen} from {source}"
            self._added.append(self._streamed(relation, query, holds_newer=False))

    def replace(self, relation: str, rows: pa.Table, *, is_whole: bool = False) -> None:
        """Let a table have these rows and no others."""
        self._drop_all(relation)
        if rows.num_rows or is_whole:
            file = self._written(
                relation, rows.to_batches(), rows.schema, holds_newer=False, is_whole=is_whole
            )
            self._added.append(file)

    def move(self, vendor: str, resource: str, until: Any) -> None:
        """Let the cursor of a resource be at `until`."""
        self._moved[vendor, resource] = until

    def update(
        self, relation: str, values: Mapping[str, str], where: str, parameters: Any = None, source: str = ""
    ) -> int:
        """Give rows, as `held`, other values, of their table or of a `source`; return how many."""
        load_id = self.load_id()
        values = {**values, LOAD_ID: f"'{load_id}'"}
        chosen = ", ".join(
            f'cast({values.get(each.name, f"held.{quoted(each.name)}")} as {each.type}) as "{each.name}"'
            for each in self.columns[relation]
        )
        beside = f", {source}" if source else ""
        query = f"select {chosen} from {relation} as held{beside} where {where}"
        rows = stored(self.connection.execute(query, parameters).to_arrow_table())
        if rows.num_rows:
            self.append(relation, rows, holds_newer=True)
            self._show_pending(relation)
        return int(rows.num_rows)

    def delete(self, relation: str, where: str, parameters: Any = None) -> int:
        """Remove rows, as `entry`, and all earlier versions of them; return how many there were now.

        Every file that holds one is written anew without it; an earlier version for which the condition is
        true goes even if its row stays.
        """
        keys = ", ".join(f'"{each.name}"' for each in self.columns[relation] if each.is_key)
        self.connection.execute(
            f"create or replace temp table doomed as select {keys} from {relation} as entry where {where}",
            parameters,
        )
        counted = self.connection.execute("select count(*) from doomed").fetchall()[0][0]
        goes = f"coalesce({where}, false) or ({keys}) in (select ({keys}) from doomed)"
        for file in self._present(relation):
            rows = self.rows(relation, [file])
            going = self.connection.execute(
                f"select count(*) from ({rows}) as entry where {goes}", parameters
            ).fetchall()[0][0]
            if going:
                self._remove(file)
                if going < file.row_count:
                    stay = f"from ({rows}) as entry where not ({goes})"
                    self._added.append(
                        self._streamed(relation, stay, parameters, holds_newer=file.holds_newer)
                    )
        self._show_pending(relation)
        return int(counted)

    def _present(self, relation: str) -> list[File]:
        """Return a table's files as they will be."""
        there = [file for file in self.manifest.get(relation, []) if file not in self._removed]
        return there + [file for file in self._added if file.relation == relation]

    def _show_pending(self, relation: str) -> None:
        before = self.manifest.get(relation, [])
        self.manifest[relation] = self._present(relation)
        self.show(relation)
        self.manifest[relation] = before

    def _drop_all(self, relation: str) -> None:
        for file in self._present(relation):
            self._remove(file)

    def _remove(self, file: File) -> None:
        if file in self._added:
            self._added.remove(file)
            self.files.remove([file.path])
        else:
            self._removed.append(file)

    def _streamed(self, relation: str, query: str, parameters: Any = None, **kind: bool) -> File:
        """Write a file with the rows of a query, a part at a time."""
        rows: Any = self.connection.execute(query, parameters).to_arrow_reader(ROWS_AT_ONCE)
        schema = stored_schema(rows.schema)
        parts = (batch for part in rows for batch in pa.Table.from_batches([part]).cast(schema).to_batches())
        return self._written(relation, parts, schema, **kind)

    def _written(self, relation: str, rows: Any, schema: pa.Schema, **kind: bool) -> File:
        return self.files.write(relation, self.load_id(), rows, schema, **kind)

    def drop_pending(self) -> None:
        """Forget the changes since the last commit that are not in `raw_ops`: a package failed."""
        relations = {file.relation for file in [*self._added, *self._removed]}
        self.files.remove(file.path for file in self._added)
        self._added, self._removed, self._moved = [], [], {}
        for relation in relations:
            self.show(relation)

    def commit(self) -> None:
        """Let all changes count. Files that no table has any more are removed afterwards."""
        self._store_whole()
        operations = dict(self._changed_operations())
        if not (self._added or self._removed or self._moved or operations):
            return
        made = Commit(self._added, self._removed, self._moved, operations)
        self.state.commit(made, self.columns)
        gone, relations = self._removed, {file.relation for file in [*self._added, *self._removed]}
        for relation in relations:
            self.manifest[relation] = self._present(relation)
        self.cursors |= self._moved
        self._added, self._removed, self._moved = [], [], {}
        for relation in relations:
            if relation not in self._whole and not relation.startswith(f"{OPERATIONS}."):
                self.show(relation)
        self.files.remove(file.path for file in gone)

    def _store_whole(self) -> None:
        """Write the tables that are derived from others again if they have changed."""
        for relation in self._tables():
            if relation.startswith(f"{OPERATIONS}.") or self._whole.get(relation) == self._mark(relation):
                continue
            self.declare_whole(relation)
            rows = stored(self.connection.sql(f"from {relation}").to_arrow_table())
            self.replace(relation, rows, is_whole=True)
            self._whole[relation] = self._mark(relation)

    def _changed_operations(self) -> Iterator[tuple[str, tuple[bool, pa.Table]]]:
        """Yield the changed tables of `raw_ops`: the rows to add, or all rows if others have changed."""
        for relation in self._tables():
            if not relation.startswith(f"{OPERATIONS}."):
                continue
            named = self._described(relation)
            before = self._before.get(relation)
            query = f"select {', '.join(map(stored_as, named))} from {relation} order by rowid"
            rows: Any = self.connection.sql(query).to_arrow_table()
            now = rows.cast(arrow_schema(named))
            if before is None or before.schema != now.schema:
                known, is_longer = 0, False
            else:
                known = before.num_rows
                is_longer = now.num_rows >= known and now.slice(0, known).equals(before)
            if is_longer and now.num_rows == known:
                continue
            self.columns[relation], self._before[relation] = named, now
            yield relation, ((False, now.slice(known)) if is_longer else (True, now))

    def tidy(self) -> None:
        """Join small files, and write tables anew in which many rows have newer versions."""
        for relation, files in [*self.manifest.items()]:
            small = [file for file in files if file.byte_count < SMALL_BYTES]
            rows = sum(file.row_count for file in files)
            newer = sum(file.row_count for file in files if file.holds_newer)
            if relation.startswith(f"{OPERATIONS}.") or (files[:1] and files[0].is_whole):
                continue
            joined = files if newer > SUPERSEDED_SHARE * rows else small if len(small) >= MANY else []
            if len(joined) > 1:
                self._join(relation, joined, is_all=len(joined) == len(files))
        self.commit()

    def _join(self, relation: str, files: Sequence[File], *, is_all: bool) -> None:
        holds_newer = any(file.holds_newer for file in files) and not is_all
        file = self._streamed(relation, self.newest(relation, files), holds_newer=holds_newer)
        for each in files:
            self._remove(each)
        self._added.append(file)


@contextmanager
def opened(settings: Settings, *, write: bool = True) -> Iterator[Lake]:
    """Yield the lake until the block ends. Raises LakeError as `Lake` does."""
    lake = Lake(settings, write=write)
    try:
        yield lake
    finally:
        lake.close()
