"""What a person can set, and what happens when it is set wrongly."""

import re
from pathlib import Path

import pytest

import settings


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    path = tmp_path / ".env"
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
    env_file.write_text("KLAVIYO_API_KEY=pk_secret\n", encoding="utf-8")
    assert "pk_secret" not in f"{settings.load()!r} {settings.load()}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("CREDIT_BUDGET=-1", "must be a whole number, 0 or more"),
        ("CREDIT_BUDGET=abc", "must be a whole number, 0 or more"),
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
