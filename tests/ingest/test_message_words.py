"""The words of e-mails of flows: taken from their templates, with the parts that a rewrite must keep."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.vendors.klaviyo import message_words
from tests.small import create_raw

DRAGGED = """<!DOCTYPE html><html><head><title>Ours</title><style>td { color: red }</style></head><body>
<table><tr><td><img src="https://shop.example/a.png" alt="The  shop"></td></tr>
<tr><td><h2>Still looking?</h2><p>Hi {{ first_name|default:&quot;you&quot; }} &amp; friends,</p>
{% if event.count<3 %}<p>You saw <strong>{{ event.Name }}</strong>.</p>{% endif %}</td></tr>
<tr><td><a href="https://shop.example/?utm_id=7" style="x">To the <b>shop</b></a> or
<a href="{{ event.URL }}">back</a>, or <a href="https://shop.example/?utm_id=7">to the shop</a></td></tr>
<tr><td>Ask <a href="mailto:help@shop.example">help@shop.example</a> or +49 30 901820.<br>
{% unsubscribe 'No more' %}
</td></tr></table></body></html>"""


def read(source: str) -> dict[str, Any]:
    taken: dict[str, Any] = json.loads(message_words.words(source))
    return taken


def test_a_template_of_the_editor_is_its_words_a_line_per_block() -> None:
    assert read(DRAGGED)["text"].splitlines() == [
        "(The shop)",
        "Still looking?",
        'Hi {{ first_name|default:"you" }} & friends,',
        "{% if event.count<3 %}",
        "You saw {{ event.Name }}.",
        "{% endif %}",
        "[To the shop](link-01) or [back](link-02), or [to the shop](link-01)",
        "Ask *** or ***",
        "{% unsubscribe 'No more' %}",
    ]


def test_addresses_of_links_stay_and_whatever_a_rewrite_must_keep_is_named() -> None:
    taken = read(DRAGGED)
    assert [part["part"] for part in taken["parts"]] == [
        '{{ first_name|default:"you" }}',
        "{% if event.count<3 %}",
        "{{ event.Name }}",
        "{% endif %}",
        "{% unsubscribe 'No more' %}",
        "link-01",
        "link-02",
    ]
    assert [link["address"] for link in taken["links"]] == [
        "https://shop.example/?utm_id=7",
        "{{ event.URL }}",
    ]
    assert "utm_id" not in taken["text"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("Only words", "Only words"),
        ("<p>1 < 2 and {{ open", "1 < 2 and {{ open"),
        ("<a href='https://a.example'>never closed", "[never closed"),
        ("</a></p>closed twice", "closed twice"),
        ("<p>Grüße, Привет, 你好 🎉</p>", "Grüße, Привет, 你好 🎉"),
        ("<div>{{ a }}</div>" * 3, "{{ a }}\n{{ a }}\n{{ a }}"),
    ],
)
def test_odd_html_still_gives_words(source: str, text: str) -> None:
    assert read(source)["text"] == text


def test_only_new_and_changed_templates_are_read_again_and_text_stands_in_for_html(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    create_raw(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("drop table raw_klaviyo.flow_message_words")  # as left by an earlier version
        connection.executemany(
            "insert into raw_klaviyo.flow_message_templates (flow_message_id, html, text) values (?, ?, ?)",
            [
                ("m1", "<p>One</p>", None),
                ("m2", " ", "Two"),
                ("m3", None, None),
                ("m4", "<p>Four</p>", "other"),
            ],
        )
        message_words.take(connection)
        asked = (
            "select flow_message_id, words ->> '$.text', rowid from raw_klaviyo.flow_message_words order by 1"
        )
        first = connection.execute(asked).fetchall()
        assert [row[:2] for row in first] == [("m1", "One"), ("m2", "Two"), ("m4", "Four")]
        connection.execute(
            "update raw_klaviyo.flow_message_templates set html = 'Now' where flow_message_id = 'm1'"
        )
        connection.execute("delete from raw_klaviyo.flow_message_templates where flow_message_id = 'm2'")
        message_words.take(connection)
        second = connection.execute(asked).fetchall()
        assert [row[:2] for row in second] == [("m1", "Now"), ("m4", "Four")]
        assert second[1] == first[2], "read again although nothing changed"
