"""A PostgreSQL server of a test's own, for ledgers that several machines share."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests import needs

PATIENCE_SECONDS = 60
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [
    Path(found).parent for found in [shutil.which("initdb")] if found
]
AS_OWNER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # a server refuses to run as root


@contextmanager
def running() -> Iterator[str]:
    """Yield the address of a server with its own data folder and port, or skip the test."""
    if not PROGRAMS:
        needs.absent("PostgreSQL's programs: apt-get install postgresql")
    # The server's user must be able to enter the folder; those of pytest and TMPDIR may be closed to it.
    folder = Path(subprocess.check_output([*AS_OWNER, "mktemp", "-d", "-p", "/tmp"], text=True).strip())  # noqa: S108
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    initdb, postgres = (str(PROGRAMS[-1] / name) for name in ("initdb", "postgres"))
    options = ["-U", "ledger", "-A", "trust", "--no-sync", "-E", "UTF8"]
    made = [*AS_OWNER, initdb, "-D", f"{folder}/data", *options]
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    started = [*AS_OWNER, postgres, "-D", f"{folder}/data", "-p", str(port), "-k", str(folder), "-F"]
    with subprocess.Popen(started, stderr=subprocess.DEVNULL, cwd="/") as process:
        url = f"postgresql://ledger@127.0.0.1:{port}/postgres"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
        try:
            yield url
        finally:
            process.terminate()
            process.wait(30)
    subprocess.run([*AS_OWNER, "rm", "-rf", str(folder)], check=True)
