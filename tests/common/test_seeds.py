"""The seeds that Python and the models share."""

from pathlib import Path

import pytest

from common import seeds, settings


def test_columns_come_in_the_order_asked_for() -> None:
    names = seeds.rows("klaviyo_metric_names", "metric_name", "role")
    assert ("Received SMS", "received_text") in names
    assert ("Received Text Message", "received_text") in names


@pytest.mark.parametrize(
    "text", ["role,name\na,b\n", "role,metric_name\na\n"], ids=["no column", "a short row"]
)
def test_a_row_that_says_too_little_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    monkeypatch.setattr(seeds, "FOLDER", tmp_path)
    (tmp_path / "names.csv").write_text(text, encoding="utf-8")
    with pytest.raises(
        settings.SettingsError, match=r"names\.csv, line 2: every row needs role and metric_name"
    ):
        seeds.rows("names", "role", "metric_name")
