"""Of the vendors' data about people, only the fields that models need are loaded; the rest is counted."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.settings import Settings
from ingest.store import allowed, people
from ingest.store.raw import DatabaseTables
from ingest.store.warehouse import Warehouse
from ingest.vendors import tables_of
from ingest.vendors.klaviyo import tables as klaviyo
from ingest.vendors.klaviyo.properties import EVENT_PROPERTIES
from ingest.vendors.klaviyo.tables import EVENTS
from privacy import personal, pseudonyms
from privacy.addresses import Addresses
from privacy.forgotten import Forgotten, tombstones_of
from sandbox.server import Sandbox, serving
from sandbox.world import World
from tests.commands import Project
from tests.small import create_raw

TABLES = tables_of(Settings(_env_file=None))
TRACES = {table.full_name: trace for table, trace in people.about_people(TABLES)}
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
PHONE = "+15550000123"
PERSONAL: Mapping[str, Any] = {
    "Recipient Email Address": "ada@example.com",
    "To Number": PHONE,
    "From Number": "+15559999999",
    "Message Body": "Dear Ada, your parcel is on its way",
    "_ip": "203.0.113.9",
    "$internal": {"User Agent": "Mozilla", "Sending Ip Address": "203.0.113.8"},
    "BillingAddress": {"First Name": "Ada", "Address1": "Elm Street 1"},
    "ShippingAddress": {"First Name": "Ada", "Address1": "Elm Street 1"},
    "$extra": {"customer": {"email": "ada@example.com"}, "note": "for Grandma Lovelace"},
}
NEEDED: Mapping[str, Any] = {
    "$value": 49.9,
    "$event_id": "1001",
    "$message": "m1",
    "Email Domain": "example.com",
    "machine_open": True,
    "Bounce Type": "Hard",
    "$attribution": {"$attributed_event_id": "e1", "$message": "m1"},
    "Items": [{"ProductID": "P1", "Name": "Mug", "Quantity": 1}],
    "Collections": ["Kitchen"],
    "Discount Codes": [{"code": "SPRING", "amount": "5.00"}],
}
STANDS = ("ada@", "Ada", "0000123", "9999999", "Elm Street", "203.0.113", "Grandma", "parcel", "Mozilla")


def kept(properties: Any, *named: str) -> tuple[Any, dict[str, int]]:
    """Return the loaded properties of an event, and the dropped ones."""
    rows = EVENTS.from_rows([{"id": "1", "metric_id": "m", "event_properties": json.dumps(properties)}])
    loaded = allowed.Allowances([klaviyo.events(named)]).kept("raw_klaviyo.events", rows)
    text, dropped = loaded.column("event_properties")[0].as_py(), allowed.dropped_of(loaded)
    return text and json.loads(text), {name: count for (_, name), count in dropped.items()}


def test_of_an_event_only_what_models_need_is_loaded_and_the_rest_is_counted_by_name() -> None:
    loaded, dropped = kept({**NEEDED, **PERSONAL})
    assert loaded == NEEDED
    assert dropped == dict.fromkeys(PERSONAL, 1)


def test_lists_and_objects_that_are_kept_smuggle_nothing_through() -> None:
    item = {"ProductID": "P1", "Gift To": "Ada", "Name": "Mug", "Engraving": {"Text": "Ada"}}
    loaded, dropped = kept(
        {"Items": [item, ["Ada"], None], "Collections": [{"Owner": "Ada"}], "tags": {"a": 1}}
    )
    assert loaded == {"Items": [{"ProductID": "P1", "Name": "Mug"}]}
    assert dropped == {"Items.Gift To": 1, "Items.Engraving": 1, "Collections": 1, "tags": 1}


@pytest.mark.parametrize(
    "value", ["ada@example.com", "from Ada <Ada@Example.COM>", "a%2540example.com", PHONE]
)
def test_a_value_that_is_an_address_or_a_number_is_dropped_under_any_name(value: str) -> None:
    assert kept({"Source Name": value, "tags": ["a", value], "$value": 1}) == (
        {"$value": 1},
        {"Source Name": 1, "tags": 1},
    )


def test_a_name_is_kept_of_a_product_alone() -> None:
    assert kept({"Name": "Mug", "SKU": "M1"})[0] == {"Name": "Mug", "SKU": "M1"}
    assert kept({"Name": "Ada Lovelace", "Form ID": "f"})[0] == {"Form ID": "f"}


def test_a_setting_keeps_what_it_names_whole() -> None:
    loaded, dropped = kept(
        {"Gift Note": {"to": "Ada"}, "Store": "Bend", "_ip": "1.2.3.4"}, "Gift Note", "Store"
    )
    assert loaded == {"Gift Note": {"to": "Ada"}, "Store": "Bend"}
    assert dropped == {"_ip": 1}
    named = Settings(_env_file=None, klaviyo_event_properties=" Gift Note, Store ,")  # type: ignore[arg-type]
    assert named.klaviyo_event_properties == ("Gift Note", "Store")


def test_a_name_that_may_be_about_a_person_is_not_written_down() -> None:
    _, dropped = kept({"ada@example.com": 1, "Order of +1 555 000 0123": 2, "x" * 61: 3})
    assert dropped == {"(a name that may be about a person)": 3}


@pytest.mark.parametrize("odd", [None, "text", 3, ["ada@example.com"], {}])
def test_properties_that_are_no_object_are_nothing(odd: object) -> None:
    assert kept(odd)[0] in (None, {})


@pytest.mark.parametrize(
    ("given", "stays"),
    [
        ("https://shop.example/mug?utm_source=k&_kx=Zm9v&sku=M1#ada", "https://shop.example/mug?utm_source=k&sku=M1"),
        ("https://ada:pw@shop.example/u/ada%40example.com/mug", "https://shop.example/u//mug"),
        ("https://shop.example/?utm_content=ada%2540example.com", "https://shop.example/"),
        ("mailto:ada@example.com", "mailto:"),
        ("tel:+15550000123", "tel:"),
        ("https://shop.example/mug", "https://shop.example/mug"),
        ("http://[broken", ""),
    ],
)  # fmt: skip
def test_a_link_keeps_its_page_and_nothing_of_who_followed_it(given: str, stays: str) -> None:
    assert allowed.link(given) == stays
    assert kept({"URL": given})[0].get("URL", "") == stays


ODD: Sequence[Any] = (
    "Mug", "", 3, 1.5, True, None, "ada@example.com", PHONE, [], ["Mug", 2], ["Mug", "ada@example.com"],
    ["Mug", None], [["Mug"]], {}, {"code": "SPRING", "who": "Ada"},
    [{"SKU": "M1", "Name": "Mug"}, {"Name": "Ada"}], 'say "hi" \\ / é', "https://shop.example/mug",
    "https://shop.example/mug?utm_source=k&_kx=Zm9v#ada", "mailto:ada@example.com", "http://[broken",
)  # fmt: skip
"""What a vendor may send as a property."""


def test_objects_of_every_shape_keep_and_lose_the_same_as_if_each_were_looked_at() -> None:
    names = [
        "Items",
        "Discount Codes",
        "$attribution",
        "URL",
        "Product URL",
        "page",
        "tags",
        "$value",
        "Name",
    ]
    names += ["SKU", "_ip", "it's"]
    chance = random.Random(5)
    objects = [
        {name: chance.choice(ODD) for name in chance.sample(names, chance.randint(1, 6))}
        for _ in range(4_000)
    ]
    objects += [
        {"URL": f"https://shop.example/?_kx={n}", "page": "https://shop.example/mug#ada", "Items": ["Mug"]}
        for n in range(50)
    ]
    texts = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in objects]
    rows = EVENTS.from_rows(
        {"id": str(n), "metric_id": "m", "event_properties": text} for n, text in enumerate(texts)
    )
    loaded = allowed.Allowances([klaviyo.events(())]).kept("raw_klaviyo.events", rows)
    looked_at = [allowed._column(text, EVENT_PROPERTIES) for text in texts]
    assert loaded.column("event_properties").to_pylist() == [text for text, _ in looked_at]
    assert allowed.dropped_of(loaded) == Counter(("m", name) for _, dropped in looked_at for name in dropped)


def test_a_link_in_any_notation_of_json_loses_what_says_who_followed_it() -> None:
    link = "https://shop.example/mug?_kx=ada&page=2"
    slashes = link.replace("/", "\\/")
    coded = "".join(f"\\u{ord(sign):04x}" for sign in link)
    texts = [
        f'{{"URL":"{link}"}}',
        f'{{ "URL" : "{link}" , "_ip": "10.0.0.1" }}',
        f'{{"URL":"{slashes}"}}',
        f'{{"URL":"{coded}"}}',
        f'{{"\\u0055RL":"{link}"}}',
        f'{{"URL":"{link}","page":"{link}"}}',
        f'{{"URL":"{link}","Name":"\\"URL\\":\\"{link}\\""}}',
    ]
    rows = EVENTS.from_rows(
        {"id": str(n), "metric_id": "m", "event_properties": text} for n, text in enumerate(texts)
    )
    loaded = allowed.Allowances([klaviyo.events(())]).kept("raw_klaviyo.events", rows)
    for text in loaded.column("event_properties").to_pylist():
        read = json.loads(text)
        assert {read[name] for name in ("URL", "page") if name in read} == {link.replace("_kx=ada&", "")}


def test_what_is_unlisted_about_a_person_is_dropped_everywhere_but_for_the_accounts_own_fields() -> None:
    allowances = allowed.Allowances(TABLES)
    for table in TRACES:
        rows = pa.table({name: pa.array([None, None], pa.string()) for name in _columns(table)})
        rows = rows.set_column(rows.column_names.index("other"), "other", [['{"age": 36}', None]])
        loaded = allowances.kept(table, rows)
        is_needed = table == "raw_sendgrid.contacts"
        assert loaded.column("other").to_pylist() == ['{"age": 36}' if is_needed else None, None]
        assert [name for _, name in allowed.dropped_of(loaded)] == ([] if is_needed else ["other.age"])


def _columns(table: str) -> list[str]:
    (found,) = [each for each in TABLES if each.full_name == table]
    return found.arrow_schema.names


@pytest.mark.parametrize("named", [(), ("Message Body",)])
def test_rows_of_an_earlier_version_are_stripped_once_and_the_file_is_written_anew(
    tmp_path: Path, named: tuple[str, ...]
) -> None:
    ours = Settings(
        _env_file=None,
        warehouse_path=tmp_path / "warehouse.duckdb",
        pipelines_path=tmp_path / "pipelines",
        forgotten_path=tmp_path / "forgotten.json",
        klaviyo_event_properties=named,
    )
    create_raw(ours.warehouse_path)
    with duckdb.connect(str(ours.warehouse_path)) as connection:
        connection.execute(
            "insert into raw_klaviyo.events (id, metric_id, event_properties) "
            "values ('1', 'm', $1), ('2', 'm', $2)",
            [json.dumps({**NEEDED, **PERSONAL}), json.dumps(NEEDED)],
        )
        connection.execute("insert into raw_ops.loads (vendor, resource) values ('klaviyo', 'events')")
        connection.execute(
            "create view raw_klaviyo.seen as select id, event_properties from raw_klaviyo.events"
        )
        connection.execute("checkpoint")
    assert b"Elm Street" in ours.warehouse_path.read_bytes()
    tables = tables_of(ours)
    for _ in range(2):
        file = Warehouse(ours)
        file.prepare(tables)
        file.keep_to_addresses()
        file.strip(NOW)
        file.close()
        held = ours.warehouse_path.read_bytes()
        assert [text for text in STANDS if text.encode() in held] == (["Ada", "parcel"] if named else [])
        with duckdb.connect(str(ours.warehouse_path)) as connection:
            rows = connection.execute(
                "select id, event_properties from raw_klaviyo.seen order by id"
            ).fetchall()
            counts = connection.execute(
                "select property, value_count from raw_ops.dropped_properties where metric_id = 'm'"
            ).fetchall()
        assert [json.loads(text) for _, text in rows] == [
            {**NEEDED, **{name: PERSONAL[name] for name in named}}, NEEDED,
        ]  # fmt: skip
        assert dict(counts) == {name: 1 for name in PERSONAL if name not in named}


FORMS = ("+1 555 000 0123", "+1 (555) 000-0123", "15550000123", "001 555 000 0123", "+1-555-000-0123")


def test_a_hashed_phone_number_joins_however_it_is_written(tmp_path: Path) -> None:
    ours = Settings(_env_file=None, emails_in_warehouse="hashed", forgotten_path=tmp_path / "forgotten.json")
    pseudonyms.salt(ours.salt_path, create=True)
    addresses = Addresses(True, ours.salt_path)
    stands_for = addresses.of_phone(PHONE)
    assert len(stands_for) == 64
    assert addresses.of_phone(stands_for) == stands_for
    assert {addresses.of_phone(form) for form in FORMS} == {stands_for}
    rows = pa.table(
        {
            "phone_number": [PHONE, "", None, "+15550000999"],
            "properties": [
                json.dumps(
                    {"Mobile": 15550000123, "note": "call (555) 000-0123 or +1 555 000 0123.", "points": 5}
                )
            ] * 4,
        }
    )  # fmt: skip
    held = addresses.kept(TRACES["raw_klaviyo.profiles"], rows).to_pylist()
    assert [row["phone_number"] for row in held[:3]] == [stands_for, "", None]
    assert json.loads(held[0]["properties"]) == {
        "Mobile": stands_for, "note": f"call {stands_for} or {stands_for}.", "points": 5,
    }  # fmt: skip


NAMING = (
    *FORMS,
    "call (555) 000-0123",
    "0555 000 0123",
    '"5550000123"',
    "https://x.example/?p=%2B15550000123",
)
OTHERS = ("25550000123", "+155500001234", "order 5550000123", "555 000 01234")


def test_a_person_is_forgotten_by_phone_number_too_in_all_its_forms(tmp_path: Path) -> None:
    create_raw(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into raw_klaviyo.profiles (id, email, phone_number) values "
            "('p1', 'ada@example.com', $1), ('p2', null, $1), ('p3', 'bob@example.com', $1)",
            [PHONE],
        )
        connection.executemany(
            "insert into raw_klaviyo.events (id, event_properties) values (?, ?)",
            [(text, json.dumps({"Gift Note": text})) for text in (*NAMING, *OTHERS)],
        )
        before = {table: connection.sql(f"from {table}").to_arrow_table() for table in TRACES}
        ada = people.find(connection, TABLES, "ada@example.com")
        assert ada.phones == [PHONE]
        assert sorted(ada.keys) == ["p1", "p2"]  # a person with another address shares the number
        people.remove(DatabaseTables(connection), TABLES, ada)
        left = {table: connection.sql(f"from {table}").to_arrow_table() for table in TRACES}
        assert {row["id"] for row in left["raw_klaviyo.events"].to_pylist()} == set(OTHERS)
        assert left["raw_klaviyo.profiles"].column("id").to_pylist() == ["p3"]
        forgotten = Forgotten(tmp_path / "forgotten.json")
        remembered = [each for phone in ada.phones for each in tombstones_of(phone)]
        forgotten.add(["ada@example.com", *ada.keys, *remembered], NOW)
        for table, rows in before.items():
            kept_out = forgotten.without(connection, TRACES[table], rows)
            ids = kept_out.column(0).to_pylist()
            assert set(ids) - set(left[table].column(0).to_pylist()) <= {'"5550000123"'}, table


COUNTED = """
    select property, sum(value_count) from raw_ops.dropped_properties where resource = 'events' group by all
"""


def test_nothing_personal_of_a_live_event_is_in_the_warehouse_in_either_form(tmp_path: Path) -> None:
    world = World(60, 7, date(2026, 11, 21))
    merged = f"json_merge_patch(event_properties, '{json.dumps(PERSONAL)}')::varchar"
    with world.cursor() as cursor:
        (made,) = cursor.execute(
            "select sql from duckdb_views() where view_name = 'klaviyo_events'"
        ).fetchall()[0]
        query = made.partition(" AS ")[2].rstrip(";")
        cursor.execute(
            f"create or replace view klaviyo_events as "
            f"select * replace ({merged} as event_properties) from ({query})"
        )
    with serving(Sandbox(world, limits="off")) as url:
        for form in ("plain", "hashed"):
            folder = tmp_path / form
            folder.mkdir()
            project = Project(folder, url, extra={"EMAILS_IN_WAREHOUSE": form})
            project.well("ingest", "klaviyo")
            held = project.rows("select count(*), count(*) filter (regexp_matches(event_properties::varchar, "
                                f"'{'|'.join(STANDS)}')) from raw_klaviyo.events")  # fmt: skip
            assert held[0][0] > 100
            assert held[0][1] == 0
            counted = project.rows(COUNTED)
            assert {name: count for name, count in counted if name in PERSONAL} == dict.fromkeys(
                PERSONAL, held[0][0]
            )
            phones = project.rows("select count(*) from raw_klaviyo.profiles where phone_number like '+%'")
            assert (phones[0][0] > 0) == (form == "plain")
            again = project.well("ingest", "klaviyo")
            assert again["totals"]["rows_new"] == again["totals"]["rows_changed"] == 0
            assert dict(counted) == dict(project.rows(COUNTED))


# --- a glance before the search -----------------------------------------------------------------------

PIECES = [
    *(
        "ada",
        "x.y",
        "lovelace",
        "@",
        "at",
        "(at)",
        "[ at ]",
        "dot",
        "punkt",
        ".",
        "example",
        "com",
        "gmail",
        "web,",
    ),
    *(
        "sg.",
        "pk_",
        "bearer",
        "eyjhbgcioi.",
        "abcdefgh12",
        "-----begin ",
        "0123456789abcdef0",
        "5f3a9",
        "01h2",
    ),
    *(
        "1",
        "12",
        "030",
        "1234",
        "12345",
        "1987",
        "2016",
        "12.5",
        "48.85341",
        "2.3488",
        "+49",
        "(0)",
        "x 12",
        "ext. 4",
    ),
    *("127.0.0.1", "::1", "fe80::1", "de89", "4111", "de89 3704 0044 0532 0130 00", "4111 1111 1111 1111"),
    *(
        "born",
        "d.o.b",
        "dob",
        "geboren",
        "ne le",
        "nato il",
        "jan",
        "3rd of",
        "march",
        "street",
        "st.",
        "rd",
        "ave,",
    ),
    *("hauptstrasse", "str.", "rue", "de la", "calle", "p.o. box", "pobox", "via", "platz", "kerkstraat"),
    *(
        "facebook.com/ada",
        "t.me/ada",
        "/@ada",
        "linkedin.com/in/ada",
        "\xb0",
        "\xba",
        "n",
        "lat",
        "long",
        "underscore",
    ),
    *(
        "arroba",
        "snabel-a",
        "snabela",
        "malpa",
        "\u0661\u0662\u0663",
        "\u201cborn",
        "\u201cstreet",
        "2001:db8::",
        ":",
    ),
    *(",", ";", "-", "/", "'", '"', "·", "%", "=", "&amp;", "\n", " "),
]


@given(
    st.lists(
        st.tuples(st.sampled_from(PIECES), st.sampled_from(["", " ", "  ", "\n", "-", "."])), max_size=14
    )
)
@settings(max_examples=400, deadline=None)
def test_a_glance_never_hides_what_the_search_would_find(pieces: list[tuple[str, str]]) -> None:
    text = " ".join(pseudonyms.folded("".join(f"{piece}{after}" for piece, after in pieces)).split())
    detectors, may_be_phone = personal._possible(text.translate(personal.AS_0))
    possible = {pattern for _, pattern, _ in detectors}
    for what, pattern, is_one, _ in personal._DETECTORS:
        is_there = any(is_one(found) for found in pattern.finditer(text))
        assert pattern in possible or not is_there, (what, text)

    digits = [sum(sign.isdigit() for sign in found[0]) for found in personal._PHONE.finditer(text)]
    assert may_be_phone or not any(count in personal._PHONE_DIGITS for count in digits), text
