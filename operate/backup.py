"""`make backup` and `make restore`: an encrypted file of everything that cannot be recreated.

It contains the ledger, the salt, the tombstones of forgotten people, the history of runs, and the raw part of
the warehouse, because vendors delete old data. Models, published copy and report are built from these.
"""

from common import terminal  # isort: split

import base64
import os
import shutil
import struct
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final, cast

import duckdb
import typer
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from activate.errors import LedgerError
from activate.ledger import opening
from activate.ledger.lock import lock
from common import settings as environment
from common import warehouse
from operate import lakes

MAGIC: Final = b"mavera-warehouse backup 1\n"
SALT_BYTES: Final = 16
BLOCK_BYTES: Final = 4_000_000
HEAD: Final = struct.Struct(">Q?")  # the number of the block, and whether it is the last
LEDGER, RAW = "ledger.jsonl", "raw.duckdb"
DEFAULT: Final = Path("backup/mavera-warehouse.backup")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="The encrypted file.")]


class BackupError(Exception):
    """A backup cannot be made or restored; nothing was changed, and the text says what to do."""


# --- encryption --------------------------------------------------------------------------------------


def _cipher(passphrase: str, salt: bytes) -> Fernet:
    key = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())
    return Fernet(base64.urlsafe_b64encode(key))


class _Encrypting:
    """An encrypted file: each block is encrypted and signed with its place, and the last is marked."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        salt = os.urandom(SALT_BYTES)
        file.write(MAGIC + salt)
        self._file, self._cipher = file, _cipher(passphrase, salt)
        self._waiting, self._count = bytearray(), 0

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) > BLOCK_BYTES:
            self._put(bytes(self._waiting[:BLOCK_BYTES]), is_last=False)
            del self._waiting[:BLOCK_BYTES]
        return len(data)

    def close(self) -> None:
        self._put(bytes(self._waiting), is_last=True)

    def _put(self, block: bytes, *, is_last: bool) -> None:
        token = self._cipher.encrypt(HEAD.pack(self._count, is_last) + block)
        self._file.write(struct.pack(">I", len(token)) + token)
        self._count += 1


def _decrypted(file: IO[bytes], passphrase: str, name: str) -> Iterator[bytes]:
    """Yield the blocks of a backup. Raises BackupError if one is missing, altered or out of place."""
    if file.read(len(MAGIC)) != MAGIC:
        raise BackupError(f"{name} is no backup of this project")
    cipher = _cipher(passphrase, file.read(SALT_BYTES))
    damaged = BackupError(f"{name} is damaged or cut off. Take an earlier backup")
    count, is_last = 0, False
    while not is_last:
        length = file.read(4)
        token = file.read(struct.unpack(">I", length)[0]) if len(length) == 4 else b""
        try:
            block = cipher.decrypt(token)
        except InvalidToken:
            if count:
                raise damaged from None
            raise BackupError(f"BACKUP_PASSPHRASE does not open {name}") from None
        place, is_last = HEAD.unpack_from(block)
        if place != count:
            raise damaged
        count += 1
        yield block[HEAD.size :]
    if file.read(1):
        raise damaged


# --- contents ----------------------------------------------------------------------------------------


def make(settings: environment.Settings, target: Path) -> list[str]:
    """Write a backup to `target`, replacing an older one; return its parts.

    Raises BackupError if there is no passphrase or nothing to back up.
    """
    passphrase = _passphrase(settings)
    with _folder(settings) as folder, warehouse.beside(target) as draft:
        parts = _gather(settings, folder)
        if not parts:
            raise BackupError("there is nothing to back up yet. Run make ingest first")
        with draft.open("wb") as file:
            encrypting = _Encrypting(file, passphrase)
            with tarfile.open(fileobj=cast(IO[bytes], encrypting), mode="w|gz") as archive:
                for name in parts:
                    archive.add(folder / name, name)
            encrypting.close()
    return parts


def restore(settings: environment.Settings, source: Path) -> list[str]:
    """Restore everything in a backup; return a line for each part.

    Existing files are never replaced. Raises BackupError, before any change, if one is in the way or the
    backup is incomplete.
    """
    if not source.is_file():
        raise BackupError(f"there is no file {source}")
    passphrase = _passphrase(settings)
    with _folder(settings) as folder:
        with (folder / "whole.tar.gz").open("wb") as whole, source.open("rb") as file:
            for block in _decrypted(file, passphrase, source.name):
                whole.write(block)
        with tarfile.open(folder / "whole.tar.gz") as archive:
            # Python 3.11.0 to 3.11.3 have no filters; the archive was written here and is authenticated.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)  # noqa: S202
        places = {name: place for name, place in _places(settings).items() if (folder / name).exists()}
        if settings.is_spark and (folder / RAW).exists():
            lakes.require_empty(settings)
        for name, place in places.items():
            if place.exists() and (name == RAW or place.read_bytes() != (folder / name).read_bytes()):
                raise BackupError(f"{place} already exists and is never replaced. Move it away first")
        said = [_restore_ledger(settings, folder / LEDGER)] if (folder / LEDGER).exists() else []
        if settings.is_spark and (folder / RAW).exists():
            said.append(lakes.restore(settings, folder / RAW))
        for name, place in places.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(place)
            said.append(f"{place} restored")
    return said


def _gather(settings: environment.Settings, folder: Path) -> list[str]:
    ledger = opening.connect(settings.ledger_url, settings.mavera_base_url)
    if ledger.chain.verify():
        with (folder / LEDGER).open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in ledger.chain.export())
    for name, place in _places(settings).items():
        if name == RAW and place.exists():
            _copy_raw(place, folder / RAW)
        elif place.exists():
            shutil.copyfile(place, folder / name)
    if settings.is_spark:
        lakes.copy(settings, folder / RAW)
    return sorted(path.name for path in folder.iterdir())


def _places(settings: environment.Settings) -> dict[str, Path]:
    places = {
        "forgotten.json": settings.forgotten_path,
        "salt": settings.salt_path,
        "runs.jsonl": settings.runs_path,
    }
    return places if settings.is_spark else {**places, RAW: settings.warehouse_path}


def _copy_raw(path: Path, target: Path) -> None:
    """Write the raw schemas of a warehouse, including the loader's state, to a separate file."""
    warehouse.connect(path, read_only=True, is_copy=False).close()  # its error explains why it cannot be read
    with duckdb.connect(str(target)) as connection:
        connection.execute(f"attach {warehouse.quoted(path)} as whole (read_only)")
        tables = connection.execute(
            "select schema_name, table_name, sql from duckdb_tables()"
            " where database_name = 'whole' and starts_with(schema_name, 'raw_') order by all"
        ).fetchall()
        for schema in sorted({schema for schema, _, _ in tables}):
            connection.execute(f'create schema "{schema}"')
        for schema, table, sql in tables:
            connection.execute(sql)
            if (schema, table) == ("raw_ops", "builds"):
                continue  # leave out models: the next transform builds them
            connection.execute(f'insert into "{schema}"."{table}" from whole."{schema}"."{table}"')
        views = connection.execute(
            "select sql from duckdb_views()"
            " where database_name = 'whole' and starts_with(schema_name, 'raw_')"
        ).fetchall()
        for (sql,) in views:
            connection.execute(sql)


def _restore_ledger(settings: environment.Settings, exported: Path) -> str:
    if opening.connect(settings.ledger_url, settings.mavera_base_url).chain.verify():
        return "the ledger has rows already and was left as it is"
    with lock(settings.ledger_url) as hold, exported.open(encoding="utf-8") as lines:
        ledger = opening.connect(settings.ledger_url, settings.mavera_base_url, write=True, hold=hold)
        return f"{ledger.chain.restore(lines):,} rows of the ledger restored, each as it was written"


def _passphrase(settings: environment.Settings) -> str:
    if settings.backup_passphrase is None:
        raise BackupError(
            "BACKUP_PASSPHRASE is not set. A backup holds people's data and is always encrypted"
        )
    return settings.backup_passphrase.get_secret_value()


@contextmanager
def _folder(settings: environment.Settings) -> Iterator[Path]:
    """Yield a temporary folder on the same disk as the rest."""
    home = settings.warehouse_path.parent
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=home) as folder:
        yield Path(folder)


# --- command -----------------------------------------------------------------------------------------


@app.command("make", epilog=terminal.DEBUG_HELP)
def make_command(file: File = DEFAULT) -> None:
    """Write everything that cannot be recreated into one encrypted file."""
    parts = make(environment.load(), file)
    typer.echo(f"{', '.join(parts)} in {file}, {file.stat().st_size / 1e6:,.1f} MB")


@app.command("restore", epilog=terminal.DEBUG_HELP)
def restore_command(file: File = DEFAULT) -> None:
    """Restore a backup on a machine that has lost its files, or on a new one."""
    for line in restore(environment.load(), file):
        typer.echo(line)
    typer.echo("To build the models and the published copy: make transform")


if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        LedgerError,
        BackupError,
        stopped="stopped; nothing was replaced",
    )
