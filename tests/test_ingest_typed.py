"""A page's text becomes typed rows, or an error that says where it stopped being what it was."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ingest.klaviyo import FLOW_ACTIONS, METRIC_AGGREGATES
from ingest.mavera import FOCUS_GROUPS
from ingest.sendgrid import GEO_STATS, INVALID_EMAILS
from ingest.typed import BrokenBodyError, ChangedTypeError, Column, Table, value
from ingest.wistia import EVENTS, MEDIA_STATS

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")


def rows(*events: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = EVENTS.rows(json.dumps(events), {}).to_pylist()
    return found


def test_a_row_has_every_column_and_null_where_the_vendor_says_nothing() -> None:
    (row,) = rows({"event_key": "8c1f", "percent_viewed": 1, "email": None})
    assert row["percent_viewed"] == 1.0
    assert row["email"] is row["received_at"] is row["user_agent_details"] is row["other"] is None


def test_times_are_read_in_every_form_the_vendors_use() -> None:
    forms = ["2026-03-02T19:40:55Z", "2026-03-02T19:40:55.000+00:00", "2026-03-02 20:40:55+01:00", 1772480455]
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
    ("field", "value", "complaint"),
    [
        (
            "percent_viewed",
            "n/a",
            'raw_wistia.events.percent_viewed was double, now text ("n/a", event 8c1f)',
        ),
        ("received_at", "soon", 'raw_wistia.events.received_at was timestamp, now text ("soon", event 8c1f)'),
        ("country", 49, "raw_wistia.events.country was text, now bigint (event 8c1f)"),
        ("email", {"address": "ada@example.com"}, "raw_wistia.events.email was text, now json (event 8c1f)"),
    ],
)
def test_a_changed_type_names_column_types_and_row_but_nothing_personal(
    field: str, value: Any, complaint: str
) -> None:
    with pytest.raises(ChangedTypeError) as raised:
        rows({"event_key": "0000"}, {"event_key": "8c1f", field: value})
    assert str(raised.value) == f"{complaint}. Load not kept: docs/operating.md, Types"


def test_a_changed_type_in_a_list_of_addresses_names_none() -> None:
    with pytest.raises(ChangedTypeError) as raised:
        INVALID_EMAILS.rows('[{"email": "ada@example.com", "created": "soon"}]', {})
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
