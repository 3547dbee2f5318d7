"""A page's text becomes typed rows, or an error that names the place of the change."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ingest.parser import value
from ingest.pipeline import _newest
from ingest.typed import Aside, BrokenBodyError, ChangedTypeError, Column, Form, Table
from ingest.vendors.klaviyo.tables import FLOW_ACTIONS, FLOW_VALUES, METRIC_AGGREGATES
from ingest.vendors.mavera.tables import FOCUS_GROUPS
from ingest.vendors.sendgrid.tables import GEO_STATS, INVALID_EMAILS
from ingest.vendors.wistia.tables import EVENTS, MEDIA_STATS, VISITORS

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


def rows(*events: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = EVENTS.rows(json.dumps(events), {}).to_pylist()
    return found


def test_a_row_has_every_column_and_null_where_the_vendor_says_nothing() -> None:
    (row,) = rows({"event_key": "8c1f", "percent_viewed": 1, "email": None})
    assert row["percent_viewed"] == 1.0
    assert row["email"] is row["received_at"] is row["user_agent_details"] is row["other"] is None


def test_times_are_read_in_every_form_the_vendors_use() -> None:
    texts = ["2026-03-02T19:40:55Z", "2026-03-02T19:40:55.000+00:00", "2026-03-02 20:40:55+01:00"]
    seconds_or_milliseconds = [1772480455, 1772480455.0, 1772480455000]
    forms = [*texts, *seconds_or_milliseconds]
    found = rows(*({"event_key": f"e{n}", "received_at": form} for n, form in enumerate(forms)))
    assert {row["received_at"] for row in found} == {datetime(2026, 3, 2, 19, 40, 55, tzinfo=UTC)}


def test_a_number_in_quotes_is_that_number() -> None:
    (row,) = rows({"event_key": "8c1f", "percent_viewed": "0.62"})
    assert row["percent_viewed"] == 0.62


def test_a_nested_value_keeps_the_vendors_text_and_an_unlisted_field_is_kept_apart() -> None:
    (row,) = rows(
        {"event_key": "8c1f", "conversion_data": {"b": 1, "a": [2]}, "protected": True, "ip": "::1"}
    )
    assert row["conversion_data"] == '{"b":1,"a":[2]}'
    assert row["other"] == '{"protected":true}'  # not the address: it is left out on purpose


def test_an_unlisted_field_beside_a_metric_is_kept_too() -> None:
    page = [
        {"date": "2026-03-04", "stats": [{"type": "country", "name": "FR", "metrics": {"opens": 4, "x": 1}}]}
    ]
    (row,) = GEO_STATS.rows(json.dumps(page), {"country_filter": ""}).to_pylist()
    assert (row["name"], row["opens"], row["unique_opens"]) == ("FR", 4, None)
    assert row["other"] == '{"metrics":{"x":1}}'


def test_an_object_that_has_results_of_its_own_is_one_row() -> None:
    page = '{"id": "fg_1", "status": "COMPLETED", "results": {"questions": []}, "usage": null}'
    (row,) = FOCUS_GROUPS.rows(page, {}).to_pylist()
    assert (row["id"], row["results"], row["usage"]) == ("fg_1", '{"questions":[]}', None)


def test_one_object_is_one_row_with_the_columns_that_the_request_knows() -> None:
    known = {"media_id": "h1", "measured_on": datetime(2026, 3, 4, tzinfo=UTC).date()}
    (row,) = MEDIA_STATS.rows('{"load_count": 3, "play_rate": 0.5}', known).to_pylist()
    assert (row["media_id"], row["load_count"], row["play_rate"]) == ("h1", 3, 0.5)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("percent_viewed", "n/a", "not a number"),
        ("percent_viewed", "NaN", "not finite"),
        ("percent_viewed", float("-inf"), "not finite"),
        ("percent_viewed", 1e300, "out of range"),
        ("percent_viewed", True, "not a number"),
        ("percent_viewed", "", "empty"),
        ("percent_viewed", [0.5], "not a plain value"),
        ("received_at", "soon", "not a time"),
        ("received_at", "", "empty"),
        ("received_at", "0001-01-01T00:00:00Z", "out of range"),
        ("received_at", "9999-12-31T23:59:59Z", "out of range"),
        ("received_at", "infinity", "not finite"),
        ("received_at", 1e17, "out of range"),
        ("received_at", float("nan"), "not finite"),
        ("country", 49, "not text"),
        ("email", {"address": "ada@example.com"}, "not a plain value"),
        ("conversion_type", [1], "not a plain value"),
        ("user_agent_details", "Chrome", "not an object or list"),
        ("user_agent_details", "", "empty"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_null_and_its_row_stays(
    field: str, value: Any, reason: str
) -> None:
    page = EVENTS.rows(json.dumps([{"event_key": "0000"}, {"event_key": "8c1f", field: value}]), {})
    assert [(row["event_key"], row[field]) for row in page.to_pylist()] == [("0000", None), ("8c1f", None)]
    assert Aside.of(page).values == {1: {field: reason}}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("load_count", 1e17, "out of range"),
        ("load_count", 10**30, "out of range"),
        ("load_count", "1e17", "out of range"),
        ("load_count", "1.5", "not a whole number"),
        ("load_count", 1.5, "not a whole number"),
        ("load_count", "inf", "not finite"),
        ("load_count", False, "not a whole number"),
    ],
)
def test_an_integer_is_whole_and_of_a_size_that_counts_have(field: str, value: Any, reason: str) -> None:
    page = VISITORS.rows(json.dumps([{"visitor_key": "v1", field: value}]), {})
    assert page.to_pylist()[0][field] is None
    assert Aside.of(page).values == {0: {field: reason}}
    assert VISITORS.rows('[{"visitor_key": "v1", "load_count": 3.0}]', {}).to_pylist()[0]["load_count"] == 3


def test_a_row_without_a_key_is_left_out_and_the_others_stay() -> None:
    page = EVENTS.rows('[{"event_key": null, "country": "US"}, {"event_key": "e1"}, null, "x"]', {})
    assert page.column("event_key").to_pylist() == ["e1"]
    aside = Aside.of(page)
    assert aside.row_count == 3
    assert [(name, reason) for _, name, reason in aside.rows] == [
        ("event_key", "no key"),
        ("event_key", "not a row"),
        ("event_key", "not a row"),
    ]
    assert "US" not in str(aside.rows)
    assert all(digest for digest, _, _ in aside.rows)


def form_of(*events: dict[str, Any]) -> Form:
    form = Form(EVENTS)
    form.take(EVENTS.rows(json.dumps(events), {}), "received_at")
    return form


def some(count: int, **fields: Any) -> list[dict[str, Any]]:
    usual = {"received_at": "2026-03-02T19:40:55Z", "percent_viewed": 0.5, "country": "US"}
    return [{"event_key": f"e{n}", **usual, **fields} for n in range(count)]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("percent_viewed", "n/a", 'percent_viewed was double, now text ("n/a", event 8c1f)'),
        ("country", 49, "country was text, now bigint (event 8c1f)"),
        ("country", "ada@example.com", ""),
        ("percent_viewed", "Ada Lovelace", "percent_viewed was double, now text (event 8c1f)"),
        ("percent_viewed", {"a": "ada@example.com"}, "percent_viewed was double, now json (event 8c1f)"),
    ],
)
def test_above_a_share_of_a_column_the_type_has_changed_and_nobodys_value_is_quoted(
    field: str, value: Any, complaint: str
) -> None:
    changed = [{"event_key": "8c1f", field: value}] * 20
    form_of(*some(380), *changed).check()  # 20 of 400 are no more than 5%
    form_of(*some(20), *changed[1:]).check()  # fewer than 20 values prove nothing
    form = form_of(*some(379), *changed)
    if not complaint:
        form.check()
        return
    with pytest.raises(ChangedTypeError) as raised:
        form.check()
    assert str(raised.value) == f"raw_wistia.events.{complaint}. Load not kept: docs/operating.md, Types"


def test_blanks_in_place_of_nulls_are_no_change_of_form() -> None:
    form_of(*some(100, percent_viewed="")).check()


def test_a_page_without_keys_or_cursors_has_changed_its_form() -> None:
    with pytest.raises(ChangedTypeError, match="event_key was text, now null"):
        EVENTS.rows('[{"event_key": null, "country": "US"}, {"event_key": null, "country": "DE"}]', {})
    with pytest.raises(ChangedTypeError, match="event_key was text, now bigint"):
        EVENTS.rows('[{"event_key": 1}, {"event_key": 2}]', {})
    with pytest.raises(ChangedTypeError, match="received_at was timestamp, now text"):
        form_of(*some(2, received_at="soon"))
    with pytest.raises(ChangedTypeError, match="received_at was timestamp, now null"):
        form_of(*some(2, received_at=None))


def test_a_changed_type_in_a_list_of_addresses_names_none() -> None:
    with pytest.raises(ChangedTypeError) as raised:
        INVALID_EMAILS.rows(
            '[{"email": "ada@example.com", "created": "soon"}, {"email": "b", "created": "soon"}]', {}
        )
    assert '("soon", invalid email soon). Load' in str(raised.value)
    assert "ada" not in str(raised.value)


def test_a_table_of_nested_values_alone_is_read() -> None:
    notes = Table(
        "raw_acme", "notes", ("thing_id",), [Column("thing_id", "text", known=True), Column("body", "json")]
    )
    (row,) = notes.rows('{"body": {"a": 1}, "more": 2}', {"thing_id": "8c1f"}).to_pylist()
    assert row == {"thing_id": "8c1f", "body": '{"a":1}', "other": '{"more":2}'}


@pytest.mark.parametrize("page", ["", "<html>", '[{"event_key": "8c', "[null]", '{"error": "busy"}', '["a"]'])
def test_what_holds_no_rows_is_a_broken_answer_not_an_empty_one(page: str) -> None:
    with pytest.raises(BrokenBodyError):
        EVENTS.rows(page, {})


@pytest.mark.parametrize(
    "page", ["3", '"a"', "null", "[1, 2]", '{"other": 1}', '{"data": null}', '{"data": "x"}']
)
@pytest.mark.parametrize("table", [MEDIA_STATS, GEO_STATS, FLOW_VALUES, METRIC_AGGREGATES, FLOW_ACTIONS])
def test_a_body_of_another_shape_is_no_row(table: Table, page: str) -> None:
    with pytest.raises(BrokenBodyError):
        table.rows(page, dict.fromkeys([column.name for column in table.columns if column.known]))


def test_events_of_no_message_are_counted_whatever_stands_in_place_of_its_id() -> None:
    usual, odd = ({"count": [c], "unique": [1], "sum_value": [s]} for c, s in ((2.0, 9.5), ("NaN", 1e300)))
    data = [{"dimensions": none, "measurements": usual} for none in ([], [None, None], ["", ""], None)]
    data += [{"dimensions": ["f", "m"], "measurements": odd}]
    answer = {"data": {"attributes": {"dates": ["2026-03-04T00:00:00+00:00"], "data": data}}}
    page = METRIC_AGGREGATES.rows(json.dumps(answer), {"metric_id": "x", "grouped_by": "$message"})
    assert [(row["flow_id"], row["message_id"], row["event_count"]) for row in page.to_pylist()] == [
        *[("", "", 2)] * 4,
        ("f", "m", None),
    ]
    assert Aside.of(page).values == {4: {"event_count": "not finite", "sum_value": "out of range"}}


def test_a_row_of_a_report_without_a_message_is_set_aside() -> None:
    columns = {column.name: "x" for column in FLOW_VALUES.columns if column.at == "groupings"}
    results = [{"groupings": columns}, {"groupings": columns | {"flow_message_id": None}}]
    page = FLOW_VALUES.rows(
        json.dumps({"data": {"attributes": {"results": results}}}), {"measured_on": date(2026, 3, 4)}
    )
    assert (page.num_rows, Aside.of(page).row_count) == (1, 1)


def test_half_a_character_costs_no_page() -> None:
    page = r'[{"event_key": "8c1f", "country": "cut \ud83d", "org": "\uDE00\ud83d\ude00 \\ud83d"}]'
    (row,) = EVENTS.rows(page, {}).to_pylist()
    assert (row["country"], row["org"]) == ("cut \ufffd", "\ufffd\U0001f600 \\ud83d")
    assert value(page, "$[0].country") == "cut \ufffd"


def test_arrays_beside_an_array_of_days_become_rows_of_the_days_on_which_something_was() -> None:
    answer = {"data": {"type": "metric-aggregate", "id": "1", "attributes": {
        "dates": ["2026-03-04T00:00:00+00:00", "2026-03-05T00:00:00+00:00"],
        "data": [
            {"dimensions": ["f", "m"], "measurements": {"count": [2.0, 0], "unique": [1.0, 0],
                                                        "sum_value": [9.5, 0]}},
            {"dimensions": ["", ""], "measurements": {"count": [0.0, 7], "unique": [0.0, 6],
                                                      "sum_value": [0.0, 0]}},
        ]}}}  # fmt: skip
    known = {"metric_id": "x", "grouped_by": "$message"}
    found = METRIC_AGGREGATES.rows(json.dumps(answer), known).drop_columns(["other"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("x", "$message", "f", "m", date(2026, 3, 4), 2, 1, 9.5),
        ("x", "$message", "", "", date(2026, 3, 5), 7, 6, 0.0),
    ]
    nothing = {"data": {"attributes": {"dates": [], "data": []}}}
    assert METRIC_AGGREGATES.rows(json.dumps(nothing), known).num_rows == 0


def test_a_step_of_a_flow_gets_its_flow_from_the_row_that_points_to_it() -> None:
    pointers = {"flow-actions": {"data": [{"type": "flow-action", "id": "a1"}]}}
    answer = {
        "data": [{"type": "flow", "id": "f1", "relationships": pointers}, {"type": "flow", "id": "f2"}],
        "included": [
            {"type": "flow-action", "id": "a1", "attributes": {"definition": {"type": "send-email"}}},
            {"type": "tag", "id": "a1", "attributes": {"name": "Shop"}},
        ],
    }
    (row,) = FLOW_ACTIONS.rows(json.dumps(answer), {}).to_pylist()
    assert (row["id"], row["flow_id"], row["definition"]) == ("a1", "f1", '{"type":"send-email"}')


def test_a_row_from_the_future_never_moves_a_cursor() -> None:
    settled = datetime(2026, 3, 5, tzinfo=UTC)
    times = ["2026-03-04T10:00:00Z", "2031-01-01T00:00:00Z", "9999-12-31T00:00:00Z", None, "soon"]
    page = EVENTS.rows(
        json.dumps([{"event_key": f"e{n}", "received_at": at} for n, at in enumerate(times)]), {}
    )
    assert _newest(page, "received_at", settled) == datetime(2026, 3, 4, 10, tzinfo=UTC)
    later = EVENTS.rows('[{"event_key": "e9", "received_at": "2031-01-01T00:00:00Z"}]', {})
    assert _newest(later, "received_at", settled) is None
