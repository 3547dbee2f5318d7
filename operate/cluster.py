"""Run Spark on this machine until Ctrl-C: `make cluster` starts a master, workers, and Spark Connect.

They listen on loopback only. They share a process group, which a small shell ends as soon as this process is
gone, however it ended: whatever Spark starts ends with it. Tables survive in LAKE_URL.
"""

from common import terminal  # isort: split

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, NoReturn
from urllib.parse import urlsplit

import typer

from common import settings as environment
from privacy import outside
from transform.spark import CONNECT_PORT

JAVA_NEEDED: Final = "Java 17 or 21: apt-get install openjdk-17-jre-headless"
LEAST_JAVA: Final = 17
LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 180
STOP_SECONDS: Final = 10
MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"
SUBMIT = "org.apache.spark.deploy.SparkSubmit"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
SMALL_HEAP = "512m"
# Master and workers only pass messages: compiling them well would cost more than it saves.
SMALL_JVM = (f"-Xmx{SMALL_HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# Models are long statements, and the parser calls itself for every bracket.
DRIVER_JVM = ("-Xss4m", "-Duser.timezone=UTC")
CATALOG = "jdbc:derby:;create=true"
# Waits until its input ends, which it does when this process is gone. Then it ends its process group.
GUARD = """trap '' TERM INT HUP; read -r _; kill -TERM 0; sleep 2; rm -rf "$1"; kill -KILL 0"""
LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d %p %c{1}: %m%n%ex
"""
TROUBLE: Final = re.compile(r"\b(ERROR|Caused by|Exception|OutOfMemory|Address already in use)\b")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ClusterError(Exception):
    """Spark cannot run on this machine; the text says what to do."""


@dataclass(frozen=True)
class Size:
    """How much of this machine Spark may use. Memory is a limit of Java's heap, written as Java does."""

    workers: int = 2
    cores: int = 1  # of each worker
    memory: str = "2g"  # of each worker
    driver_memory: str = "3g"  # of Spark Connect, which also plans


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and the address at which to use it."""

    remote: str
    master: "subprocess.Popen[bytes]"
    workers: tuple["subprocess.Popen[bytes]", ...]
    connect: "subprocess.Popen[bytes]"
    folder: Path  # of logs and temporary files
    seconds: float  # that it took to start

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers that are alive."""
        return [worker.pid for worker in self.workers if worker.poll() is None]


@contextmanager
def running(
    settings: environment.Settings,
    size: Size | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Start Spark at `settings.spark_remote`, and end all of it with the block.

    `more` are further settings of Spark. Raises ClusterError if Java, pyspark or the port is not there.
    """
    started, size = time.monotonic(), size or Size()
    port = _port_of(settings.spark_remote)
    home, java = _spark_home(), _java()
    with _alone(settings) as kept, _folder() as folder:
        master_port = _free_port()
        _write_settings(folder, _spark_settings(settings, size, kept, (master_port, port)) | dict(more or {}))
        with _group(folder) as group:
            start = _starter(home, java, folder, group)
            master = start("master", SMALL_JVM, MASTER, "--port", str(master_port), "--host", LOOPBACK)
            _await(master, master_port, folder)
            workers = [
                start(
                    f"worker-{number}", SMALL_JVM, WORKER, "--host", LOOPBACK, "--work-dir", str(folder),
                    "--cores", str(size.cores), "--memory", size.memory, f"spark://{LOOPBACK}:{master_port}",
                )
                for number in range(1, size.workers + 1)
            ]  # fmt: skip
            options = (
                f"-Xmx{size.driver_memory}",
                *DRIVER_JVM,
                f"-Dderby.stream.error.file={folder}/derby.log",
            )
            connect = start("connect", options, SUBMIT, "--class", CONNECT, "spark-internal")
            try:
                _await(connect, port, folder)
                yield Cluster(
                    settings.spark_remote, master, tuple(workers), connect, folder, time.monotonic() - started
                )
            finally:
                _stop([connect, *workers, master])


# --- what has to be there ----------------------------------------------------------------------------


def java_problem() -> str:
    """Return what is missing to run Java, or an empty string."""
    try:
        _java()
    except ClusterError as error:
        return str(error)
    return ""


def _java() -> str:
    """Return the Java that Spark's own scripts would use."""
    home = environment.without_secrets().get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if not java or not Path(java).exists():
        raise ClusterError(f"Spark needs {JAVA_NEEDED}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < LEAST_JAVA:
        found = f"is {version[1]}" if version else "does not run"
        raise ClusterError(f"Spark needs {JAVA_NEEDED}. {java} {found}")
    return java


def _spark_home() -> Path:
    found = find_spec("pyspark")
    if not found or not found.origin:
        raise ClusterError("pyspark is not installed here: make cluster uses build/spark, which has it")
    return Path(found.origin).parent


def is_on_this_machine(remote: str) -> bool:
    """Whether SPARK_REMOTE is an address that `make cluster` can serve."""
    return urlsplit(remote).hostname in environment.LOOPBACK


def _port_of(remote: str) -> int:
    if not is_on_this_machine(remote):
        host = urlsplit(remote).hostname
        raise ClusterError(
            f"make cluster runs Spark on this machine, but SPARK_REMOTE is on {host}: "
            f"set SPARK_REMOTE=sc://{LOOPBACK}:{CONNECT_PORT}"
        )
    port = urlsplit(remote).port or CONNECT_PORT
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError:
            raise ClusterError(
                f"port {port} is taken: stop the program that uses it, or set another port in SPARK_REMOTE, "
                f"for example sc://{LOOPBACK}:{port + 1}"
            ) from None
    return port


def _free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind((LOOPBACK, 0))
        port: int = any_port.getsockname()[1]
        return port


@contextmanager
def _alone(settings: environment.Settings) -> Iterator[Path]:
    """Yield the folder of Spark's catalog, which only one cluster can open."""
    kept = settings.lake_path or settings.warehouse_path.parent / "lake"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        held = (kept / "cluster.lock").open("w")
    except OSError as error:
        raise ClusterError(f"{kept} cannot be written: {error.strerror}. Change that, or LAKE_URL") from None
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(f"another cluster uses {kept}: stop it, or set another LAKE_URL") from None
        yield kept


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder for logs and shuffled rows, which only its owner may read."""
    terminal.make_shared_folder(environment.ROOT / "build")
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=environment.ROOT / "build"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- Spark's settings --------------------------------------------------------------------------------


def _spark_settings(
    settings: environment.Settings, size: Size, kept: Path, ports: tuple[int, int]
) -> dict[str, str]:
    models = (
        f"file://{kept}/models" if settings.lake_path else f"{settings.lake_url.partition('?')[0]}/models"
    )
    master_port, connect_port = ports
    return {
        "spark.master": f"spark://{LOOPBACK}:{master_port}",
        "spark.app.name": "mavera-warehouse",
        # What models need, or they would be wrong: transform/spark.py refuses a server without them.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.sources.partitionOverwriteMode": "DYNAMIC",
        # A task for each core: with Spark's default, 200, a small machine is busy with tasks of a few rows.
        "spark.sql.shuffle.partitions": str(max(2, size.workers * size.cores)),
        # The keys of hashes must not be in a plan that anybody prints.
        "spark.sql.redaction.string.regex": "(?i)[0-9a-f]{32,}",
        # Tables are files in the lake; their names and types are in a small database beside them.
        "spark.sql.warehouse.dir": models.replace("s3://", "s3a://"),
        "spark.sql.catalogImplementation": "hive",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"{CATALOG};databaseName={kept}/metastore",
        "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
        "spark.hadoop.hive.metastore.schema.verification": "false",
        "spark.hadoop.hive.exec.scratchdir": "hive",
        "spark.hadoop.hive.exec.local.scratchdir": "hive",
        "spark.executor.memory": size.memory,
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC -XX:-UsePerfData -XX:+UseSerialGC",
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.connect.grpc.binding.address": LOOPBACK,
        "spark.connect.grpc.binding.port": str(connect_port),
        "spark.ui.enabled": "false",
        "spark.master.ui.port": "0",
        "spark.worker.ui.port": "0",
        "spark.master.rest.enabled": "false",
    }


def _write_settings(folder: Path, given: Mapping[str, str]) -> None:
    lines = "".join(f"{name} {value}\n" for name, value in given.items())
    (folder / "spark-defaults.conf").write_text(lines, encoding="utf-8")
    (folder / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
    (folder / "tmp").mkdir()


# --- processes ---------------------------------------------------------------------------------------


@contextmanager
def _group(folder: Path) -> Iterator[int]:
    """Yield a process group that is killed at the end of the block, or when this process is gone."""
    command = ["/bin/sh", "-c", GUARD, "sh", str(folder)]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)  # noqa: S603
    try:
        yield guard.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGKILL)
        guard.communicate()


def _starter(home: Path, java: str, folder: Path, group: int) -> Callable[..., "subprocess.Popen[bytes]"]:
    """Return a function that starts one of Spark's programs: its name, options of Java, class, arguments."""
    (scala,) = (path.name.split("_")[1].split("-")[0] for path in home.glob("jars/spark-core_*.jar"))
    given = {name: text for name, text in environment.without_secrets().items() if "SPARK" not in name}
    given |= {"SPARK_HOME": str(home), "SPARK_SCALA_VERSION": scala, "SPARK_CONF_DIR": str(folder)}
    given |= {"SPARK_LOCAL_IP": LOOPBACK, "SPARK_LOCAL_DIRS": str(folder / "tmp")}
    # Spark's launcher knows the options that this version needs, and prints them with a zero after each.
    launcher = [java, "-Xmx128m", "-cp", f"{home}/jars/*", "org.apache.spark.launcher.Main", MASTER]
    told = subprocess.run(launcher, env=given, capture_output=True, check=False)  # noqa: S603
    command = told.stdout.decode().strip("\n\0").split("\0")
    if told.returncode or MASTER not in command:
        raise ClusterError(f"Spark's launcher failed: {outside.words(told.stderr.decode().strip()[:200])}")
    usual = [each for each in command[: command.index(MASTER)] if not each.startswith("-Xmx")]
    usual += ["-XX:-UsePerfData", f"-Djava.io.tmpdir={folder / 'tmp'}"]
    usual += [f"-Dlog4j2.configurationFile=file:{folder}/log4j2.properties"]
    properties = ("--properties-file", str(folder / "spark-defaults.conf"))

    def start(name: str, options: Sequence[str], main: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                [*usual, *options, main, *properties, *arguments], cwd=folder, env=given,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=group,
            )  # fmt: skip

    return start


def _await(program: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    """Wait until a program listens on its port."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if program.poll() is not None:
            raise ClusterError(f"Spark did not start: {_trouble(folder)}")
        with suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
            return
        time.sleep(0.05)
    raise ClusterError(f"Spark did not start within {START_SECONDS} s: {_trouble(folder)}")


def _trouble(folder: Path) -> str:
    """Return the last line of the logs that looks like the cause."""
    lines = [
        line
        for log in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    causes = [line for line in lines if TROUBLE.search(line)] or lines or ["its logs are empty"]
    return outside.words(causes[-1].strip()[:300])


def _stop(programs: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End all programs: the first before the others, so that it closes its catalog."""
    until = time.monotonic() + STOP_SECONDS
    for program in programs:
        program.terminate()
        if program is programs[0]:
            _wait(program, until)
    for program in programs:
        _wait(program, until)


def _wait(program: "subprocess.Popen[bytes]", until: float) -> None:
    try:
        program.wait(max(0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


# --- the command -------------------------------------------------------------------------------------


def _watch(cluster: Cluster) -> NoReturn:
    """Report workers that end. Raises ClusterError when nothing can be computed any more."""
    alive = len(cluster.workers)
    while True:
        time.sleep(0.5)
        if cluster.connect.poll() is not None or cluster.master.poll() is not None:
            raise ClusterError(f"Spark ended: {_trouble(cluster.folder)}")
        if (left := len(cluster.worker_pids())) < alive:
            if not left:
                raise ClusterError(f"no worker is left: {_trouble(cluster.folder)}")
            typer.echo(f"cluster: a worker ended, {left} left", err=True)
            alive = left


def _terminated(_number: int, _frame: object) -> NoReturn:
    """End as after Ctrl-C, so that Spark is stopped first."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the next one does not wait
    raise SystemExit(128 + signal.SIGTERM)


def _as_settings(given: Sequence[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if wrong := next((name for name, sign, _ in pairs if not sign or not name.startswith("spark.")), None):
        raise ClusterError(f"--conf {wrong}: write it as --conf spark.NAME=VALUE")
    return {name: value for name, _, value in pairs}


@app.command(epilog=terminal.DEBUG_HELP)
def main(
    workers: Annotated[int, typer.Option(min=1, help="How many workers.")] = Size.workers,
    cores: Annotated[int, typer.Option(min=1, help="Processors of each worker.")] = Size.cores,
    memory: Annotated[str, typer.Option(help="Memory of each worker, such as 2g.")] = Size.memory,
    driver_memory: Annotated[str, typer.Option(help="Memory of Spark Connect.")] = Size.driver_memory,
    conf: Annotated[list[str] | None, typer.Option(help="Another setting of Spark: NAME=VALUE.")] = None,
) -> None:
    """Run Spark on this machine at SPARK_REMOTE until Ctrl-C; tables stay below LAKE_URL."""
    settings = environment.load()
    signal.signal(signal.SIGTERM, _terminated)
    with terminal.left_to_command():
        try:
            with running(
                settings, Size(workers, cores, memory, driver_memory), _as_settings(conf or [])
            ) as it:
                what = f"master, {workers} worker{'s' if workers > 1 else ''} and Spark Connect"
                where = urlsplit(it.remote).netloc
                typer.echo(f"cluster: {what} listen at {where} after {it.seconds:.0f} s; Ctrl-C stops them")
                _watch(it)
        except KeyboardInterrupt:
            typer.echo("cluster: stopped; its tables are kept", err=True)


if __name__ == "__main__":
    terminal.run(app, environment.SettingsError, ClusterError, stopped="stopped; the tables are kept")
