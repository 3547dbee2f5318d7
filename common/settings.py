"""The only reader of the environment: one validated object for all parts of the project."""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_core import PydanticKnownError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as NotReadError

from common import assumptions
from privacy import outside

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# The values that a setting takes, by their names in JSON Schema.
KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object of texts",
    "date-time": "a moment such as 2026-11-20T06:00:00Z",
}
FROM_FILE = "_FILE"
"""The suffix of a secret's name that gives a file with the secret."""
# Settings of other programs that often share a file with ours; below a line `# not ours`, any are allowed.
OF_OTHERS = re.compile(r"POSTGRES_\w+|COMPOSE_\w+|(HTTPS?|FTP|ALL|NO|SOCKS)_PROXY|TZ")
NOT_OURS = re.compile(r"#\s*not ours\b.*", re.IGNORECASE)
# The similarity (0 to 1) of an unknown name and one of ours for a suggestion, and for a typo in the
# environment, which has many names of other programs.
ALIKE = 0.6
MISTYPED = 0.83
SHORT_NAME, SHORT_MISTYPED = 8, 0.88
# A folder of an object store, with parameters of Arrow: a region, or another server.
OBJECT_STORE = re.compile(
    r"((s3|gs)://[\w.-]+|abfss?://[\w-]+@[\w.-]+)(/[\w./=-]+)?(\?[\w.]+=[\w.:/%-]+(&[\w.]+=[\w.:/%-]+)*)?"
)
SEPARATED = re.compile(r"\d{1,3}([.,'’_ ]\d{3})+(\.0+)?")


class SettingsError(Exception):
    """A setting is missing or wrong; the text names it and says what to do."""


def _without_slash(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: a key would travel in clear text")
    return url.rstrip("/")


def _digits(value: object) -> object:
    """Refuse 1.000, of which pydantic makes 1."""
    if isinstance(value, str) and not value.strip().lstrip("+-").isdigit():
        raise PydanticKnownError("int_parsing")
    return value


def _safe_address(url: SecretStr | None) -> SecretStr | None:
    return None if url is None else SecretStr(_without_slash(url.get_secret_value()))


def _below_root(path: Path) -> Path:
    return path if path.is_absolute() else ROOT / path


def _listed(text: object) -> object:
    """Split names at commas."""
    return tuple(filter(None, map(str.strip, text.split(",")))) if isinstance(text, str) else text


def _server(url: str) -> str:
    """Refuse an ambiguous URL: a wrong split could show a part of a password."""
    import sqlalchemy as sa  # here because it is slow, and only a server's ledger needs it

    if url.count("@") > 1:
        raise ValueError("has more than one @: within a user or a password write it as %40")
    try:
        sa.make_url(url)
    except (ValueError, sa.exc.ArgumentError):
        raise ValueError("must be postgresql://user:password@host:port/database") from None
    return url


def _database(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return f"sqlite:///{_below_root(Path(rest[1:]))}"
    if scheme in {"postgresql", "postgres", "postgresql+psycopg"}:
        return _server(f"postgresql+psycopg://{rest}")
    raise ValueError("must begin with sqlite:/// and a path, or with postgresql://")


def _lake(url: str) -> str:
    """Return a folder's absolute path, or a folder's URL in an object store; without a slash at the end."""
    if "://" not in url:
        return str(_below_root(Path(url)))
    if not OBJECT_STORE.fullmatch(url) or "key=" in url:
        raise ValueError("must be a folder, or s3://, gs:// or abfs:// with a bucket and no keys")
    return url.rstrip("/")


def _engine(url: str) -> str:
    """Refuse an address that Spark Connect would not accept. Parameters, such as a token, follow `/;`."""
    parts = urlsplit(url)
    try:
        is_right = parts.scheme == "sc" and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:  # from the port
        is_right = False
    if not is_right or not re.fullmatch(r"/?(;[^;=]+=[^;]*)*", parts.path) or parts.query or parts.fragment:
        raise ValueError("must be sc://host:port, with parameters after it such as /;use_ssl=true;token=…")
    return url


def _with_shared_ledger(warehouse: str, info: ValidationInfo) -> str:
    """Refuse Spark with a ledger in a file: it also has the state of ingest, which several machines share."""
    if warehouse == "spark" and info.data.get("ledger_url", "").startswith("sqlite:"):
        database = "LEDGER_URL=postgresql://user:password@host:port/database"
        raise ValueError(f"spark needs a ledger that several machines share: set {database}")
    return warehouse


BaseUrl = Annotated[str, AfterValidator(_without_slash)]
ProjectPath = Annotated[Path, AfterValidator(_below_root)]
LedgerUrl = Annotated[str, AfterValidator(_database)]
LakeUrl = Annotated[str, AfterValidator(_lake)]
SparkRemote = Annotated[str, AfterValidator(_engine)]
Engine = Annotated[Literal["duckdb", "spark"], AfterValidator(_with_shared_ledger)]
DIGITS = BeforeValidator(_digits)
DriftPolicy = Literal["leave", "restore", "adopt"]


class Settings(BaseSettings):
    """Keys, money, privacy and paths, by their names in the environment; `.env.example` explains each.

    Relative paths start at the project's folder. Secrets print as asterisks.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True
    )

    sendgrid_api_key: SecretStr | None = None
    wistia_api_token: SecretStr | None = None
    klaviyo_api_key: SecretStr | None = None
    mavera_api_key: SecretStr | None = None
    mavera_workspace_id: str | None = None

    credit_budget: Annotated[int, Field(ge=0), DIGITS] = 0
    credit_budget_per_run: Annotated[int, Field(ge=0), DIGITS] | None = None
    mavera_creations: Annotated[int, Field(ge=0), DIGITS] = 60
    mavera_creation_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    smallest_cohort: Annotated[int, Field(ge=2), DIGITS] = 20
    klaviyo_event_properties: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    publish_people: bool = False
    emails_in_warehouse: Literal["plain", "hashed"] = "plain"
    mavera_plan: Literal["starter", "basic", "professional", "enterprise"] = "starter"
    mavera_settle_seconds: Annotated[int, Field(ge=0), DIGITS] = assumptions.SETTLE_SECONDS
    mavera_persona_type: Literal["B2B", "B2C"] = "B2C"
    mavera_persona_shape: Literal["reference", "examples"] = "reference"
    mavera_brand_voice_id: str | None = None
    mavera_fields: dict[str, str] = {}
    mavera_study_fields: dict[str, str] = {}
    mavera_transcripts_may_leave: bool = False
    mavera_drift: DriftPolicy = "leave"
    mavera_study_days: Annotated[int, Field(ge=0), DIGITS] = 30
    mavera_poll_seconds: Annotated[float, Field(ge=0.05)] = assumptions.POLL_SECONDS
    mavera_poll_ceiling_seconds: Annotated[int, Field(ge=0), DIGITS] = assumptions.POLL_CEILING_SECONDS

    notice_url: Annotated[SecretStr | None, AfterValidator(_safe_address)] = None
    notice_command: str | None = None
    heartbeat_url: Annotated[SecretStr | None, AfterValidator(_safe_address)] = None
    log: Literal["text", "json"] = "text"
    backup_passphrase: Annotated[SecretStr | None, Field(min_length=20)] = None

    history_days: Annotated[int, Field(ge=1, le=730), DIGITS] = 730
    largest_answer_mb: Annotated[int, Field(ge=1, le=4000), DIGITS] = 100
    largest_export_mb: Annotated[int, Field(ge=1, le=100_000), DIGITS] = 2000
    longest_request_seconds: Annotated[float, Field(ge=1)] = 900
    pace_sandbox: bool = False
    klaviyo_members_every_hours: Annotated[int, Field(ge=0, le=168), DIGITS] = 0
    believe_shrink_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    wistia_api_version: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] = "2026-05"
    klaviyo_revision: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}(\.pre)?$")] = "2026-07-15"

    warehouse_path: ProjectPath = Path("data/warehouse.duckdb")
    published_path: ProjectPath = Path("published/published.duckdb")
    published_copies_kept: Annotated[int, Field(ge=0, le=1000), DIGITS] = 7
    pipelines_path: ProjectPath = Path("data/pipelines")
    forgotten_path: ProjectPath = Path("data/forgotten.json")
    runs_path: ProjectPath = Path("data/runs.jsonl")
    trace: ProjectPath | None = None
    ledger_url: LedgerUrl = "sqlite:///data/ledger.sqlite"

    warehouse: Engine = "duckdb"  # after ledger_url, which it needs
    lake_url: LakeUrl = "data/lake"
    spark_remote: Annotated[SparkRemote, Field(repr=False)] = "sc://127.0.0.1:15002"

    sendgrid_base_url: BaseUrl = "https://api.sendgrid.com/v3"
    wistia_base_url: BaseUrl = "https://api.wistia.com/v1"
    klaviyo_base_url: BaseUrl = "https://a.klaviyo.com/api"
    mavera_base_url: BaseUrl = "https://app.mavera.io/api/v1"

    run_at: datetime | None = None

    def now(self) -> datetime:
        """The start of this run in UTC; `RUN_AT` replaces the clock to replay a day."""
        return (self.run_at or datetime.now(UTC)).astimezone(UTC)

    def secrets(self) -> list[str]:
        """Return every key and password among the settings, for code that must not show them."""
        held = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        password = urlsplit(self.ledger_url).password
        token = re.search(r";token=([^;]+)", self.spark_remote)
        shown = [password or "", token[1] if token else ""]
        return [*held, *(form for text in shown if text for form in (text, unquote(text)))]

    def vendor_keys(self) -> list[str]:
        """Return the keys of all vendors: the secrets of each that has a base URL."""
        urls = (name for name in type(self).model_fields if name.endswith("_base_url"))
        vendors = tuple(name.removesuffix("base_url") for name in urls)
        secrets = {name: value for name, value in self if isinstance(value, SecretStr)}
        return [value.get_secret_value() for name, value in secrets.items() if name.startswith(vendors)]

    @property
    def salt_path(self) -> Path:
        """The file with the salt of all hashes of people, beside the tombstones."""
        return self.forgotten_path.with_name("salt")

    @property
    def is_spark(self) -> bool:
        """Whether models are built by Spark over a lake of files, and not by DuckDB in one file."""
        return self.warehouse == "spark"

    @property
    def warehouse_name(self) -> str:
        """What messages call the place of the rows."""
        return "the lake" if self.is_spark else self.warehouse_path.name

    @property
    def lake_path(self) -> Path | None:
        """The lake's folder, or None if the lake is in an object store."""
        return None if "://" in self.lake_url else Path(self.lake_url)

    @property
    def private_paths(self) -> list[Path]:
        """Files and folders with personal data or money: only their owner may read them."""
        kept = [self.warehouse_path, self.pipelines_path, self.forgotten_path, self.salt_path, self.runs_path]
        if self.ledger_url.startswith("sqlite:///"):
            kept.append(Path(self.ledger_url.removeprefix("sqlite:///")))
        if self.is_spark and self.lake_path:
            kept.append(self.lake_path)
        return kept + ([ROOT / "data"] if any(path.is_relative_to(ROOT / "data") for path in kept) else [])

    def world_of(self, vendor: str) -> Literal["sandbox", "live"]:
        """Whether `vendor` is on this machine or on the internet; the two never share a file."""
        host = urlsplit(getattr(self, f"{vendor}_base_url")).hostname
        return "sandbox" if host in LOOPBACK else "live"

    def is_paced(self, vendor: str) -> bool:
        """Whether `vendor` is requested at the pace that it documents before its answers tell one.

        The sandbox may serve without limits, so it is not, unless `pace_sandbox` says so.
        """
        return self.world_of(vendor) == "live" or self.pace_sandbox


def names() -> frozenset[str]:
    """Return every name that a setting can have in the environment."""
    ours = {name.upper() for name in Settings.model_fields}
    return frozenset(ours | {f"{name}{FROM_FILE}" for name in _secrets()})


def without_secrets() -> dict[str, str]:
    """Return this process's environment for other programs: without keys and names of key files."""
    kept_back = {*_secrets(), *(f"{name}{FROM_FILE}" for name in _secrets())}
    return {name: value for name, value in os.environ.items() if name.upper() not in kept_back}


def of_dbt() -> dict[str, str]:
    """Return dbt's own settings in the environment, such as DBT_THREADS."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("DBT_")}


def named_file() -> str:
    """Return the absolute path of the file in `ENV_FILE`, or an empty string."""
    named = os.environ.get("ENV_FILE")
    return str(Path(named).resolve()) if named else ""


def load() -> Settings:
    """Read the environment, then `.env` (or the file in `ENV_FILE`).

    Raises SettingsError, which names the first unknown or wrong setting and its type, never its value.
    """
    named = os.environ.get("ENV_FILE")
    file = Path(named) if named else ROOT / ".env"
    if named and not file.exists():
        raise SettingsError(f"ENV_FILE: there is no file {file}. Correct its path, or leave ENV_FILE out")
    in_file = _read(file) if file.exists() else {}
    in_environment = {name.upper(): value for name, value in os.environ.items() if value}
    if unknown := next(_mistyped(in_environment), None):
        raise SettingsError(f"{unknown}. Correct it in the environment, or remove it there")
    secrets = {**_from_files(in_file, file.name), **_from_files(in_environment, "the environment")}
    # A secret in the environment takes precedence over a secret file in `.env`.
    given: dict[str, Any] = {
        name.lower(): value for name, value in secrets.items() if name not in in_environment
    }
    try:
        loaded = Settings(_env_file=file, **given)
        outside.know(loaded.secrets())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        is_ours = first["type"] == "value_error"
        reason = first["msg"].removeprefix("Value error, ") if is_ours else f"must be {_taken(name)}"
        if first["type"] == "int_parsing" and SEPARATED.fullmatch(str(first["input"])):
            reason += ", in digits alone, such as 1000"
    except NotReadError as error:  # from a JSON setting
        (name,) = re.findall(r'field "(\w+)"', str(error))
        reason = f"must be {_taken(name)}"
    else:
        return loaded
    raise SettingsError(f"{name.upper()}: {reason}. See .env.example")


def _secrets() -> list[str]:
    """Return the settings that are secrets: their value may be in a separate file."""
    fields = Settings.model_fields.items()
    secrets = [name.upper() for name, field in fields if "SecretStr" in str(field.annotation)]
    return [*secrets, "LEDGER_URL", "SPARK_REMOTE"]  # both can have one in their address


def _read(file: Path) -> dict[str, str]:
    """Return the settings in a file. Raises SettingsError at the first line that is not a setting."""
    found: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8") as stream:
            for binding in parse_stream(stream):
                if NOT_OURS.fullmatch(binding.original.string.strip()):
                    break
                if binding.error or (binding.key and binding.value is None):
                    text = binding.original.string
                    line = binding.original.line + text[: -len(text.lstrip())].count("\n")
                    raise SettingsError(f"{file}, line {line}: this is not NAME=VALUE. See .env.example")
                if binding.key:
                    found[binding.key.upper()] = binding.value or ""
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not UTF-8 text. Save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    for name in found:
        if name not in names() and not OF_OTHERS.fullmatch(name):
            below = "Settings of other programs belong below a line `# not ours`"
            raise SettingsError(f"{_unknown(name)}. Correct it in {file}. {below}")
    return found


def _mistyped(given: Mapping[str, str]) -> Iterator[str]:
    """Yield a message for each name in the environment that is a typo of ours; ignore all other names."""
    for name in given.keys() - names() - {"ENV_FILE"}:
        alike = SHORT_MISTYPED if len(name) < SHORT_NAME else MISTYPED
        if _nearest(name, alike):
            yield _unknown(name)


def _unknown(name: str) -> str:
    nearest = _nearest(name, ALIKE)
    return f"{name}: there is no such setting" + (f", the nearest is {nearest}" if nearest else "")


def _nearest(name: str, alike: float) -> str:
    """Return the setting with the most similar name, or "" if none is similar."""
    stem = name.removesuffix(FROM_FILE)
    among = _secrets() if stem != name else [each.upper() for each in Settings.model_fields]
    nearest = get_close_matches(stem, among, 1, alike)
    return f"{nearest[0]}{name[len(stem) :]}" if nearest else ""


def _from_files(given: Mapping[str, str], where: str) -> dict[str, str]:
    """Return the secrets in files given as `NAME_FILE`, as Docker and Kubernetes provide them."""
    found = {}
    for name in _secrets():
        path = given.get(f"{name}{FROM_FILE}")
        if not path:
            continue
        if given.get(name):
            raise SettingsError(f"{name} and {name}{FROM_FILE} are both set in {where}: keep one of them")
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}{FROM_FILE}: {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{name}{FROM_FILE}: {path} is not UTF-8 text") from None
        if not found[name]:
            raise SettingsError(f"{name}{FROM_FILE}: {path} is empty. Put the secret into it")
    return found


def _taken(name: str) -> str:
    """Describe the values that a setting takes, from the types and bounds of its field."""
    schema = Settings.model_json_schema()["properties"][name]
    schema |= schema.get("anyOf", [{}])[0]  # of an optional setting
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "pattern" in schema:
        return f"written like {schema['default']}"
    text = KINDS.get(schema.get("format", schema["type"]), "text")
    if "minLength" in schema:
        return f"{text} of {schema['minLength']} characters or more"
    if "maximum" in schema:
        return f"{text} from {schema['minimum']} to {schema['maximum']}"
    return f"{text}, {schema['minimum']} or more" if "minimum" in schema else text
