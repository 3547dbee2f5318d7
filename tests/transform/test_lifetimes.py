"""The models of expected orders, on the data and figures that their authors published."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform import expectations, lifetimes
from transform.lifetimes import NotFitted, Numbers, Purchases, Values

PUBLISHED = Purchases(0.243, 4.414, 0.793, 2.426)


def data(name: str) -> Path:
    """Return a file of the package that has CDNOW's data; its code is not used, nor are its dependencies."""
    return Path(str(metadata.distribution("lifetimes").locate_file(f"lifetimes/datasets/{name}")))


def columns(name: str) -> Iterator[Numbers]:
    """Yield the columns of a summary, without the customers' numbers."""
    with data(name).open(encoding="utf-8", newline="") as file:
        rows = [[float(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    yield from np.array(rows).T


def test_purchases_of_cdnow_give_the_published_parameters() -> None:
    """Table 2 of Fader, Hardie and Lee (2005)."""
    frequency, recency, age = columns("cdnow_customers_summary.csv")
    assert len(frequency) == 2357
    assert lifetimes.fit_purchases(frequency, recency, age) == pytest.approx(PUBLISHED, abs=0.0006)


def test_values_of_cdnow_give_the_published_parameters() -> None:
    """Fader and Hardie (2013): p 6.25, q 3.74, gamma 15.44."""
    frequency, _, _, value = columns("cdnow_customers_summary_with_transactions.csv")
    fitted = lifetimes.fit_values(frequency, value)
    assert fitted == pytest.approx((6.25, 3.74, 15.44), rel=0.002)
    # A customer without a purchase is expected to spend what all do: 35.12 is the mean of the sample's means.
    everybody = fitted.expected(np.zeros(1), np.zeros(1))
    assert everybody[0] == pytest.approx(fitted.p * fitted.gamma / (fitted.q - 1))


def test_one_customer_is_expected_to_buy_as_in_the_authors_spreadsheet() -> None:
    """E[Y(39) | x = 2, t = 30.43, T = 38.86] = 1.226, with the published parameters."""
    of_one = [np.array([number]) for number in (39, 2, 30.43, 38.86)]
    assert PUBLISHED.expected(*of_one)[0] == pytest.approx(1.226, abs=0.0005)


def test_the_days_left_out_are_predicted_as_well_as_by_the_authors() -> None:
    """In weeks 40 to 78, expected and actual purchases correlate by 0.626 over customers."""
    bought: dict[str, set[date]] = defaultdict(set)
    for line in data("CDNOW_sample.txt").read_text(encoding="ascii").splitlines():
        _, customer, day, *_ = line.split()
        bought[customer].add(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    until = date(1997, 9, 30)
    rows = []
    for days in bought.values():
        known = [day for day in days if day <= until]
        first, last = min(known), max(known)
        rows.append(
            (len(known) - 1, (last - first).days / 7, (until - first).days / 7, len(days) - len(known))
        )
    frequency, recency, age, actual = np.array(rows, dtype=np.float64).T
    fitted = lifetimes.fit_purchases(frequency, recency, age)
    expected = fitted.expected(np.full(len(age), 39.0), frequency, recency, age)
    assert np.corrcoef(expected, actual)[0, 1] == pytest.approx(0.626, abs=0.0005)


@given(seed=st.integers(0, 9))
def test_the_order_of_customers_never_matters(seed: int) -> None:
    rows = np.stack(list(columns("cdnow_customers_summary.csv")))[:, :400]
    moved = np.random.default_rng(seed).permutation(rows.shape[1])
    assert lifetimes.fit_purchases(*rows[:, moved]) == lifetimes.fit_purchases(*rows)


def test_histories_that_say_nothing_are_not_fitted() -> None:
    nobody, same = np.zeros(50), np.full(50, 10.0)
    with pytest.raises(NotFitted, match="bought more than once"):
        lifetimes.fit_values(nobody, nobody)
    with pytest.raises(NotFitted):  # whoever never comes back may buy rarely, or be lost
        lifetimes.fit_purchases(nobody, nobody, same)
    with pytest.raises(NotFitted):  # a mean that never varies has no shape
        lifetimes.fit_values(np.full(50, 3.0), same)


def test_whoever_bought_lately_is_alive_and_whoever_bought_once_is_by_definition() -> None:
    frequency, recency, age = np.array([4.0, 4.0, 0.0]), np.array([40.0, 10.0, 0.0]), np.full(3, 42.0)
    lately, long_ago, once = PUBLISHED.alive(frequency, recency, age)
    assert (lately > 0.7, long_ago < 0.1, once) == (True, True, 1)


@pytest.fixture
def histories(tmp_path: Path) -> Path:
    """A warehouse with CDNOW's customers as buyers, in days."""
    path = tmp_path / "warehouse.duckdb"
    file = data("cdnow_customers_summary_with_transactions.csv")
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"""
            create schema marts;
            create table marts.fct_purchase_histories as
            select 'forecast' as purpose, id as buyer_id, cast(x as bigint) as frequency,
                cast(round(t_x * 7) as bigint) as recency_days, cast(round(t * 7) as bigint) as age_days,
                nullif(zbar, 0) as mean_repeat_value, 365::bigint as horizon_days,
                100::bigint as repeat_buyers_from, date '1997-09-30' as fitted_to
            from read_csv('{file}')
        """)
    return path


def fits(path: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            "select purpose, round(r, 2), round(q, 1), reason, (select count(*) from"
            " raw_ops.lifetime_expectations) > 100 from raw_ops.lifetime_fits"
        ).fetchall()


def test_what_is_expected_is_stored_once_and_only_renewed_with_the_histories(histories: Path) -> None:
    assert expectations.renew(histories) == (True, [])
    assert fits(histories) == [("forecast", 0.24, 3.7, None, True)]
    assert expectations.renew(histories) == (False, [])
    with duckdb.connect(str(histories)) as connection:
        connection.execute("create table moved as from marts.fct_purchase_histories order by hash(buyer_id)")
        connection.execute("create or replace table marts.fct_purchase_histories as from moved")
    assert expectations.renew(histories) == (False, [])  # the same people in another order
    with duckdb.connect(str(histories)) as connection:
        connection.execute("update marts.fct_purchase_histories set age_days = age_days + 1")
    assert expectations.renew(histories) == (True, [])


def test_too_few_buyers_are_one_line_and_no_rows(histories: Path) -> None:
    with duckdb.connect(str(histories)) as connection:
        connection.execute("update marts.fct_purchase_histories set repeat_buyers_from = 2000")
    line = "expected orders (forecast): 946 buyers bought again, and a fit needs 2,000"
    assert expectations.renew(histories) == (True, [line])
    assert [each[1:] for each in fits(histories)] == [(None, None, line.partition(": ")[2], False)]
    assert expectations.renew(histories) == (False, [line])


def test_switched_off_nothing_is_kept(histories: Path) -> None:
    expectations.renew(histories)
    with duckdb.connect(str(histories)) as connection:
        connection.execute("delete from marts.fct_purchase_histories")
    assert expectations.renew(histories) == (True, [])
    assert fits(histories) == []


def test_a_mean_between_ones_own_and_everybodys_is_expected() -> None:
    fitted = Values(6.25, 3.74, 15.44)
    few, many = fitted.expected(np.array([1.0, 50.0]), np.array([100.0, 100.0]))
    assert 35 < few < many < 100
