"""What must not leave does not, however it is written; what may leave is not mistaken for it."""

from pathlib import Path
from typing import Any

import activation
import pytest

import settings
from activate import firewall, records
from activate.plan import Record


def loaded(path: Path, row: activation.Row) -> Record:
    activation.publish(path, (row,))
    (record,) = records.load(settings.Settings(_env_file=None, published_path=path), ["personas"])
    return record


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published.duckdb"


# --- the facts that a job declares -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        ({"favourite_colour": "green"}, "facts.favourite_colour is not declared"),
        ({"Ada Lovelace": 1}, "a key in facts is not declared"),
        ({"customer_count": "Ada"}, "facts.customer_count is not the count that is declared"),
        ({"customer_count": True}, "facts.customer_count is not the count that is declared"),
        ({"tier_to_share": 1.01}, "facts.tier_to_share is not the share that is declared"),
        ({"clv_tier": "Ada Lovelace"}, "facts.clv_tier is not the word that is declared"),
        ({"churn_shares": {"low": 1, "none": 0}}, "facts.churn_shares.none is not declared"),
        ({"churn_shares": ["low"]}, "facts.churn_shares is not the object that is declared"),
        ({"countries": [{"city": "Leeds"}]}, "facts.countries[0].city is not declared"),
    ],
)
def test_a_fact_that_is_not_declared_or_another_thing_than_that_is_named(
    changes: dict[str, Any], objection: str
) -> None:
    declared = {
        "clv_tier": "word",
        "customer_count": "count",
        "tier_to_share": "share",
        "churn_shares": {"low": "share"},
        "countries": [{"country": "name"}],
    }
    assert firewall.undeclared(changes, declared, "facts") == objection
    assert firewall.undeclared(dict.fromkeys(declared), declared, "facts") == ""


def test_a_fact_that_no_job_declares_holds_the_record(published: Path) -> None:
    extra = {**activation.TOP["facts"], "favourite_colour": "green"}
    record = loaded(published, {**activation.TOP, "facts": extra})
    assert record.objection == (
        "facts.favourite_colour is not declared in activate/templates/clv_tiers/facts.toml"
    )


def test_what_no_fact_can_be_declared_as_is_said() -> None:
    with pytest.raises(ValueError, match=r"facts.n is declared as counts, which is none of count, share, "):
        firewall.undeclared({"n": 1}, {"n": "counts"}, "facts")
