"""The only reader of the environment: one validated object for every part of the project."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as NotReadError

import assumptions

ROOT = Path(__file__).parent
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# What a setting takes, by the names that JSON Schema has for it.
KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object of texts",
    "date-time": "a moment such as 2026-11-20T06:00:00Z",
}


class SettingsError(Exception):
    """A setting is missing or wrong; the text names it and says what to do."""


def _without_slash(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: a key would travel in clear text")
    return url.rstrip("/")


def _safe_address(url: SecretStr | None) -> SecretStr | None:
    return None if url is None else SecretStr(_without_slash(url.get_secret_value()))


def _below_root(path: Path) -> Path:
    return path if path.is_absolute() else ROOT / path


def _server(url: str) -> str:
    """Refuse what would be taken apart elsewhere than was meant: a piece of a password could be shown."""
    import sqlalchemy as sa  # here alone, for a ledger on a server alone: it takes its time

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


BaseUrl = Annotated[str, AfterValidator(_without_slash)]
ProjectPath = Annotated[Path, AfterValidator(_below_root)]
LedgerUrl = Annotated[str, AfterValidator(_database)]
DriftPolicy = Literal["leave", "restore", "adopt"]


class Settings(BaseSettings):
    """Keys, money, privacy, paths, under their names in the environment; `.env.example` explains each.

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

    credit_budget: Annotated[int, Field(ge=0)] = 0
    credit_budget_per_run: Annotated[int, Field(ge=0)] | None = None
    smallest_cohort: Annotated[int, Field(ge=2)] = 20
    emails_in_warehouse: Literal["plain", "hashed"] = "plain"
    mavera_plan: Literal["starter", "basic", "professional", "enterprise"] = "starter"
    mavera_settle_seconds: Annotated[int, Field(ge=0)] = assumptions.SETTLE_SECONDS
    mavera_persona_type: Literal["B2B", "B2C"] = "B2C"
    mavera_persona_shape: Literal["reference", "examples"] = "reference"
    mavera_brand_voice_id: str | None = None
    mavera_study_fields: dict[str, str] = {}
    mavera_transcripts_may_leave: bool = False
    mavera_drift: DriftPolicy = "leave"
    mavera_study_days: Annotated[int, Field(ge=0)] = 30
    mavera_poll_seconds: Annotated[float, Field(ge=0.05)] = assumptions.POLL_SECONDS
    mavera_poll_ceiling_seconds: Annotated[int, Field(ge=0)] = assumptions.POLL_CEILING_SECONDS

    notice_url: Annotated[SecretStr | None, AfterValidator(_safe_address)] = None
    notice_command: str | None = None

    history_days: Annotated[int, Field(ge=1, le=730)] = 730
    wistia_api_version: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] = "2026-05"
    klaviyo_revision: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}(\.pre)?$")] = "2026-07-15"

    warehouse_path: ProjectPath = Path("data/warehouse.duckdb")
    published_path: ProjectPath = Path("data/published.duckdb")
    pipelines_path: ProjectPath = Path("data/pipelines")
    forgotten_path: ProjectPath = Path("data/forgotten.json")
    runs_path: ProjectPath = Path("data/runs.jsonl")
    ledger_url: LedgerUrl = "sqlite:///data/ledger.sqlite"

    sendgrid_base_url: BaseUrl = "https://api.sendgrid.com/v3"
    wistia_base_url: BaseUrl = "https://api.wistia.com/v1"
    klaviyo_base_url: BaseUrl = "https://a.klaviyo.com/api"
    mavera_base_url: BaseUrl = "https://app.mavera.io/api/v1"

    run_at: datetime | None = None

    def now(self) -> datetime:
        """The moment this run counts as its start, in UTC; `RUN_AT` replaces the clock to replay a day."""
        return (self.run_at or datetime.now(UTC)).astimezone(UTC)

    @property
    def salt_path(self) -> Path:
        """The salt of all hashes that stand for people, beside the tombstones."""
        return self.forgotten_path.with_name("salt")

    def world_of(self, vendor: str) -> Literal["sandbox", "live"]:
        """Whether `vendor` answers from this machine or from the internet; the two never share a file."""
        host = urlsplit(getattr(self, f"{vendor}_base_url")).hostname
        return "sandbox" if host in LOOPBACK else "live"


def load() -> Settings:
    """Read the environment, then `.env` (or the file that `ENV_FILE` names).

    Raises SettingsError that names the first wrong setting and what it takes, never its value.
    """
    try:
        return Settings(_env_file=os.environ.get("ENV_FILE", ROOT / ".env"))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        is_ours = first["type"] == "value_error"
        reason = first["msg"].removeprefix("Value error, ") if is_ours else f"must be {_taken(name)}"
    except NotReadError as error:  # of a setting that is JSON
        (name,) = re.findall(r'field "(\w+)"', str(error))
        reason = f"must be {_taken(name)}"
    raise SettingsError(f"{name.upper()}: {reason}. See .env.example")


def _taken(name: str) -> str:
    """Say in words what a setting takes, from the types and bounds of its field."""
    schema = Settings.model_json_schema()["properties"][name]
    schema |= schema.get("anyOf", [{}])[0]  # of one that may be left empty
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "pattern" in schema:
        return f"written like {schema['default']}"
    text = KINDS.get(schema.get("format", schema["type"]), "text")
    if "maximum" in schema:
        return f"{text} from {schema['minimum']} to {schema['maximum']}"
    return f"{text}, {schema['minimum']} or more" if "minimum" in schema else text
