"""The settings, and the errors for wrong values."""

import re
from pathlib import Path

import pytest

from common import settings

NEEDS_LEDGER = (
    "spark needs a ledger that several machines share: "
    "set LEDGER_URL=postgresql://user:password@host:port/database"
)


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    path = tmp_path / ".env"
    path.touch()
    monkeypatch.setenv("ENV_FILE", str(path))
    return path


def test_the_example_names_every_setting(env_file: Path) -> None:
    text = (settings.ROOT / ".env.example").read_text(encoding="utf-8")
    named = {name.lower() for name in re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)}
    assert named == settings.Settings.model_fields.keys()


def test_the_example_loads_with_its_optional_lines_switched_on_and_changes_no_default(env_file: Path) -> None:
    text = (settings.ROOT / ".env.example").read_text(encoding="utf-8")
    untouched = settings.load()
    env_file.write_text(re.sub(r"^#([A-Z_]+=)", r"\1", text, flags=re.MULTILINE), encoding="utf-8")
    assert settings.load() == untouched


def test_keys_never_print(env_file: Path) -> None:
    remote = "sc://spark.example:443/;use_ssl=true;token=dapi%2Fsecret"
    env_file.write_text(f"KLAVIYO_API_KEY=pk_secret\nSPARK_REMOTE={remote}\n", encoding="utf-8")
    loaded = settings.load()
    assert loaded.spark_remote == remote
    assert "pk_secret" not in f"{loaded!r} {loaded}"
    assert "dapi" not in f"{loaded!r} {loaded}"
    assert {"dapi%2Fsecret", "dapi/secret"} <= set(loaded.secrets())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("CREDIT_BUDGET=-1", "must be a whole number, 0 or more"),
        ("CREDIT_BUDGET=abc", "must be a whole number, 0 or more"),
        *(
            (f"CREDIT_BUDGET={text}", "must be a whole number, 0 or more, in digits alone, such as 1000")
            for text in ("1,000", "1.000", "10.000", "1'000", "1 000", "1_000", "1,000.00")
        ),
        ("HISTORY_DAYS=30.0", "must be a whole number from 1 to 730"),
        ("CREDIT_BUDGET_PER_RUN=1.5", "must be a whole number, 0 or more"),
        ("SMALLEST_COHORT=1", "must be a whole number, 2 or more"),
        ("HISTORY_DAYS=731", "must be a whole number from 1 to 730"),
        ("MAVERA_POLL_SECONDS=soon", "must be a number, 0.05 or more"),
        ("MAVERA_TRANSCRIPTS_MAY_LEAVE=perhaps", "must be true or false"),
        ("MAVERA_PLAN=free", "must be one of starter, basic, professional, enterprise"),
        ("KLAVIYO_REVISION=newest", "must be written like 2026-07-15"),
        ("RUN_AT=yesterday", "must be a moment such as 2026-11-20T06:00:00Z"),
        ("MAVERA_STUDY_FIELDS=respondents", "must be a JSON object of texts"),
        ('MAVERA_STUDY_FIELDS={"respondents": 3}', "must be a JSON object of texts"),
        ("KLAVIYO_BASE_URL=http://klaviyo.example", "must be https: a key would travel in clear text"),
        ("MAVERA_BASE_URL=app.mavera.io", "must be a URL that starts with http:// or https://"),
        (
            "LEDGER_URL=postgresql://u:hid@den@h/ledger",
            "has more than one @: within a user or a password write it as %40",
        ),
        ("WAREHOUSE=snowflake", "must be one of duckdb, spark"),
        ("WAREHOUSE=spark", NEEDS_LEDGER),
        *(
            (
                f"LAKE_URL={url}",
                "must be a folder, or s3://, gs:// or abfs:// with a bucket and no keys",
            )
            for url in (
                "hdfs://host/lake",
                "s3://",
                "s3://key:hidden@bucket/lake",
                "s3://b/lake?account_key=x",
                "az://b",
            )
        ),
        *(
            (
                f"SPARK_REMOTE={url}",
                "must be sc://host:port, with parameters after it such as /;use_ssl=true;token=…",
            )
            for url in (
                "spark://host:7077",
                "sc://",
                "sc://h:port",
                "sc://token@h:1",
                "sc://h:1/a",
                "local[2]",
            )
        ),
        *(
            (f"LEDGER_URL=postgresql://{rest}", "must be postgresql://user:password@host:port/database")
            for rest in ("u:p@h:abc/ledger", "u:hidden")
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(env_file: Path, line: str, reason: str) -> None:
    env_file.write_text(line + "\n", encoding="utf-8")
    name = line.split("=")[0]
    with pytest.raises(settings.SettingsError, match=re.escape(f"{name}: {reason}. See .env.example")):
        settings.load()


def test_a_wrong_key_value_is_not_repeated_in_the_message(env_file: Path) -> None:
    env_file.write_text("CREDIT_BUDGET=pk_pasted_here\n", encoding="utf-8")
    with pytest.raises(settings.SettingsError) as caught:
        settings.load()
    assert "pk_pasted_here" not in str(caught.value)


def test_loopback_counts_as_sandbox_and_the_rest_as_live(env_file: Path) -> None:
    env_file.write_text("WISTIA_BASE_URL=http://127.0.0.1:8790/wistia/v1\n", encoding="utf-8")
    loaded = settings.load()
    assert loaded.world_of("wistia") == "sandbox"
    assert loaded.world_of("klaviyo") == "live"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("EMAIL_IN_WAREHOUSE", "EMAILS_IN_WAREHOUSE"),
        ("CREDIT_BUGDET", "CREDIT_BUDGET"),
        ("KLAVYO_API_KEY", "KLAVIYO_API_KEY"),
        ("WISTIA_API_KEY", "WISTIA_API_TOKEN"),
        ("MAVERA_KEY", "MAVERA_API_KEY"),
        ("SMALEST_COHORT", "SMALLEST_COHORT"),
        ("KLAVYO_API_KEY_FILE", "KLAVIYO_API_KEY_FILE"),
        ("LEDGER_URI", "LEDGER_URL"),
    ],
)
def test_a_name_that_is_nearly_a_settings_is_an_error_wherever_it_stands(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    said = re.escape(f"{name}: there is no such setting, the nearest is {nearest}. Correct it in ")
    env_file.write_text(f"{name}=4\n", encoding="utf-8")
    with pytest.raises(settings.SettingsError, match=f"{said}{re.escape(str(env_file))}"):
        settings.load()
    env_file.write_text("", encoding="utf-8")
    monkeypatch.setenv(name, "4")
    with pytest.raises(settings.SettingsError, match=f"{said}the environment"):
        settings.load()


def test_in_the_file_every_unknown_name_is_an_error_but_those_of_others(env_file: Path) -> None:
    others = "POSTGRES_PASSWORD=a\nCOMPOSE_PROJECT_NAME=b\nhttps_proxy=c\nNO_PROXY=d\nTZ=UTC\n"
    env_file.write_text(
        f"{others}credit_budget=7\n# Not ours: the shop\nSHOP_COLOR=blue\n???\n", encoding="utf-8"
    )
    assert settings.load().credit_budget == 7
    for line in ("SHOP_COLOR=blue", "X=", "export SHOP_COLOR=blue"):
        env_file.write_text(f"{others}{line}\n", encoding="utf-8")
        with pytest.raises(settings.SettingsError, match="there is no such setting"):
            settings.load()


@pytest.mark.parametrize("line", ["CREDIT_BUDGET", "CREDIT_BUDGET: 5", "=5"])
def test_a_line_that_sets_nothing_is_named_by_its_number(env_file: Path, line: str) -> None:
    env_file.write_text(f"HISTORY_DAYS=30\n\n{line}\n", encoding="utf-8")
    with pytest.raises(settings.SettingsError, match=r"\.env, line 3: this is not NAME=VALUE"):
        settings.load()


def test_names_of_others_in_the_environment_are_nobodys_business(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = (
        "PATH LEDGER_FILE RUN_ID GITHUB_RUN_ID PROMPT_COMMAND SENDGRID_WEBHOOK_SECRET API_KEY HISTSIZE PORT"
    )
    for name in others.split():
        monkeypatch.setenv(name, "/usr/bin")
    settings.load()


def test_a_file_that_is_not_there_is_an_error(env_file: Path) -> None:
    env_file.unlink()
    with pytest.raises(settings.SettingsError, match="ENV_FILE: there is no file"):
        settings.load()
    env_file.mkdir()
    with pytest.raises(settings.SettingsError, match="cannot be read"):
        settings.load()


def test_every_secret_may_stand_in_a_file_of_its_own(
    env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "SENDGRID_API_KEY": "SG.one",
        "WISTIA_API_TOKEN": "two",
        "KLAVIYO_API_KEY": "pk_three",
        "MAVERA_API_KEY": "mvra_four",
        "NOTICE_URL": "https://hooks.example/secret",
        "LEDGER_URL": "postgresql://somebody:secret@db.example/ledger",
        "SPARK_REMOTE": "sc://spark.example/;token=secret",
    }
    for name, secret in secrets.items():
        (tmp_path / name).write_text(f"{secret}\n", encoding="utf-8")
    lines = "".join(f"{name}_FILE={tmp_path / name}\n" for name in secrets)
    env_file.write_text(lines, encoding="utf-8")
    loaded = settings.load()
    assert loaded.klaviyo_api_key is not None
    assert loaded.klaviyo_api_key.get_secret_value() == "pk_three"
    assert loaded.ledger_url == "postgresql+psycopg://somebody:secret@db.example/ledger"
    held = [str(secret) for secret in secrets.values() if secret in repr(loaded) and "postgres" not in secret]
    assert held == []
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_here")
    loaded = settings.load()
    assert loaded.klaviyo_api_key is not None
    assert loaded.klaviyo_api_key.get_secret_value() == "pk_here"
    env_file.write_text(f"{lines}MAVERA_API_KEY=mvra_twice\n", encoding="utf-8")
    with pytest.raises(settings.SettingsError, match="MAVERA_API_KEY and MAVERA_API_KEY_FILE are both set"):
        settings.load()
    env_file.write_text(lines, encoding="utf-8")
    (tmp_path / "WISTIA_API_TOKEN").unlink()
    with pytest.raises(settings.SettingsError, match=r"WISTIA_API_TOKEN_FILE: \S+ cannot be read: No such"):
        settings.load()


@pytest.mark.parametrize(
    ("given", "lake", "folder"),
    [
        ("", str(settings.ROOT / "data/lake"), settings.ROOT / "data/lake"),
        ("below/lake/", str(settings.ROOT / "below/lake"), settings.ROOT / "below/lake"),
        ("/lake", "/lake", Path("/lake")),
        ("s3://bucket", "s3://bucket", None),
        ("gs://bucket/a/lake/", "gs://bucket/a/lake", None),
        (
            "s3://b/lake?endpoint_override=h:9000&scheme=http",
            "s3://b/lake?endpoint_override=h:9000&scheme=http",
            None,
        ),
        ("abfs://c@account.dfs.core.windows.net/lake", "abfs://c@account.dfs.core.windows.net/lake", None),
    ],
)
def test_a_lake_is_a_folder_or_in_an_object_store(
    env_file: Path, given: str, lake: str, folder: Path | None
) -> None:
    shared = "WAREHOUSE=spark\nLEDGER_URL=postgresql://u:p@h/ledger\n"
    env_file.write_text(f"{shared}LAKE_URL={given}\n", encoding="utf-8")
    loaded = settings.load()
    assert (loaded.lake_url, loaded.lake_path) == (lake, folder)
    assert loaded.is_spark
    assert (folder in loaded.private_paths) == (folder is not None)


def test_the_engine_is_duckdb_unless_a_setting_says_otherwise(env_file: Path) -> None:
    assert not settings.load().is_spark
    assert settings.load().lake_path not in settings.load().private_paths
