"""What is loaded of the objects in which vendors send whatever there is, recipients' addresses included.

The allow-list stands here and nowhere else. A name that is not on it is counted in
`raw_ops.dropped_properties`, and its value never reaches the warehouse. `strip` treats rows that an earlier
version loaded alike.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import duckdb
import pyarrow as pa

from ingest.people import TRACES
from ingest.typed import Table


@dataclass(frozen=True)
class Kept:
    """What is kept of a JSON object.

    `names` are kept where their value is text, a number, true or false, or a list of those, and holds neither
    an e-mail address nor a phone number. Of `links` the path and the harmless parameters are kept. `inside`
    gives the fields that are kept of objects and of lists of objects. `products` are kept where there is a
    product's id: elsewhere the same name may be a person's. `named` are kept whole: a setting asks for them.
    A `known` object is about a person by design, so its texts are not checked. A column that `is_link` is no
    object but a link.
    """

    names: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    inside: Mapping[str, "Kept"] = field(default_factory=dict, hash=False)
    products: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    known: bool = False
    is_link: bool = False


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


PRODUCT_IDS: Final = _names(
    "ProductID, Product ID, Product Id, product_id, SKU, VariantID, VariantId, Variant ID"
)
_PRODUCT: Final = _names(
    """
    ProductName, Product Name, Categories, ProductCategories, Product Categories, Collections, Brand, Vendor,
    Product Type, Price, ItemPrice, Item Price, RowTotal, Row Total, Quantity, CompareAtPrice,
    Compare At Price, Variant Name, VariantName, Variant Title, Discount, Total Discount, Tags, tags,
    Currency, currency
"""
)
_PRODUCT_LINKS: Final = _names("URL, ProductURL, Product URL, ImageURL, Image URL")
_ITEM: Final = Kept(
    names=(*PRODUCT_IDS, *_PRODUCT, "Name", "Title", "id", "sku", "name", "title", "price", "quantity"),
    links=_PRODUCT_LINKS,
)
_MESSAGE: Final = _names(
    """
    $event_id, $message, $flow, $variation, $message_interaction, $group_ids, $campaign, $campaign_channel,
    $flow_channel, $_cohort$message_send_cohort, $_cohort$variation_send_cohort, $cohort$message_send_cohort,
    $cohort$variation_send_cohort, $attributed_message, $attributed_flow, $attributed_channel,
    $attributed_variation, Campaign Name, Flow Name, Message Name, Message Type, Message Format, Subject,
    Segment Count, List, Method, form_id, Form ID
"""
)
_READING: Final = _names(
    """
    Email Domain, Inbox Provider, Client Type, Client OS, Client OS Family, Client Name, Client Canonical,
    machine_open, Bot Click, Bounce Type, Failure Source, Failure Type, From Phone Region, To Phone Region,
    browser, os, Browser, OS, Device Type, $is_session_activity
"""
)
_ORDER: Final = _names(
    """
    $value, $value_currency, value_currency, $currency_code, currency_code, Currency Code,
    presentment_currency, OrderId, Order ID, order_id, Item Count, ItemNames, Item Names, Brands,
    Discount Codes, Discount Code, Discount Value, Total Discounts, Subtotal, Total Tax, Total Shipping,
    Total Price, Refund Amount, Refunded Amount, Cancel Reason, Fulfillment Status, FulfillmentStatus,
    Financial Status, FinancialStatus, HasPartialFulfillments, Source Name, AddedItemProductName,
    AddedItemProductID, AddedItemSKU, AddedItemCategories, AddedItemPrice, AddedItemQuantity
"""
)
EVENT_PROPERTIES: Final = Kept(
    names=(*_MESSAGE, *_READING, *_ORDER, *PRODUCT_IDS, *_PRODUCT),
    links=(*_PRODUCT_LINKS, *_names("url, page, Page, Page URL, AddedItemURL, AddedItemImageURL")),
    inside={
        "$attribution": Kept(
            _names("""
            $attributed_event_id, $message, $flow, $campaign, $variation, $send_ts, $channel,
            $attributed_channel
        """)
        ),
        "Items": _ITEM,
        "items": _ITEM,
        "Discount Codes": Kept(_names("code, amount, type")),
    },
    products=("Name", "Title"),
)
NOTHING: Final = Kept()
LINK: Final = Kept(is_link=True)
RULES: Final[Mapping[str, Mapping[str, Kept]]] = {
    "raw_klaviyo.events": {"event_properties": EVENT_PROPERTIES},
    # Neither streets nor positions: no model needs to know more than the city.
    "raw_klaviyo.profiles": {"location": Kept(_names("city, region, country, timezone"), known=True)},
    "raw_wistia.events": {
        "conversion_data": Kept(_names("email, first_name, last_name, is_new_lead"), known=True),
        "embed_url": LINK,
    },
    "raw_wistia.visitors": {
        "visitor_identity": Kept(
            _names("name, email"), inside={"org": Kept(_names("name, title"), known=True)}, known=True
        )
    },
}
"""Table to column to what of it is kept."""
OTHER_IS_NEEDED: Final = frozenset({"raw_sendgrid.contacts"})
"""The fields that the account made up stand there: a job groups contacts by them."""

# An e-mail address, its sign perhaps encoded as in a link, or a phone number with its country.
_PERSONAL: Final = re.compile(
    r"[^\s@]+(?:@|%(?:25)*40)[^\s@]+\.[a-z]|\+[0-9](?:[ ().-]*[0-9]){7}", re.IGNORECASE
)
_HARMLESS: Final = frozenset(
    _names(
        "utm_source, utm_medium, utm_campaign, utm_content, utm_term, utm_id, variant, sku, product_id, pid"
    )
    + _names("category, collection, page")
)
"""Parameters of a link that say nothing of who followed it."""
_MOST_NAMES: Final = 500
_LONGEST_NAME: Final = 60
_UNNAMED: Final = "(a name that may be about a person)"
_DIGITS: Final = re.compile(r"[0-9][ ().-]*" * 6)
_ROWS_AT_ONCE: Final = 50_000


@lru_cache(100_000)
def link(url: str) -> str:
    """Return a link without whatever may tell who followed it.

    Scheme, host, path and the parameters that say nothing of a person stay. A part of the path that holds an
    address, who is signed in, the fragment and every other parameter go; so does all of a link to a person.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme and not parts.netloc:
        return f"{parts.scheme}:"  # mailto, tel
    path = "/".join("" if "@" in _decoded(part) else part for part in parts.path.split("/"))
    asked = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in asked if name.lower() in _HARMLESS and not _is_personal(value)]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, urlencode(kept), ""))


def _decoded(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _is_personal(text: str) -> bool:
    return _PERSONAL.search(text) is not None


def _shown(name: str) -> str:
    """A name as it is counted; one that is long or holds an address or a number is about somebody."""
    is_about = len(name) > _LONGEST_NAME or "@" in name or _DIGITS.search(name)
    return _UNNAMED if is_about else name


def _scalar(value: Any, kept: Kept) -> Any:
    """Return a text, a number, a flag or a list of those; None for whatever else, and what is personal."""
    if isinstance(value, list):
        return value if all(_scalar(each, kept) is not None for each in value) else None
    if isinstance(value, dict):
        return None
    return None if isinstance(value, str) and not kept.known and _is_personal(value) else value


def _inside(value: Any, inner: Kept, drop: Callable[[str], None]) -> Any:
    """Return what stays of an object, a list of objects, or what else stands in their place."""
    if isinstance(value, dict):
        return _object(value, inner, drop)
    if isinstance(value, list):
        parts = [None if isinstance(part, list) else _inside(part, inner, drop) for part in value]
        return [part for part in parts if part is not None]
    return _scalar(value, inner)


def _object(given: Mapping[str, Any], kept: Kept, drop: Callable[[str], None]) -> dict[str, Any]:
    """Return what is kept of an object, and give the names of what is not, if it had a value, to `drop`."""
    has_product = any(given.get(name) is not None for name in PRODUCT_IDS)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in kept.named:
            stays = value
        elif inner := kept.inside.get(name):
            stays = _inside(value, inner, lambda part, of=name: drop(f"{of}.{part}"))  # type: ignore[misc]
        elif name in kept.links:
            stays = link(value) or None if isinstance(value, str) else None
        elif name in kept.names or (has_product and name in kept.products):
            stays = _scalar(value, kept)
        else:
            stays = None
        if stays is None:
            drop(name)
        else:
            found[name] = stays
    return found


def _column(text: str, kept: Kept, drop: Callable[[str], None]) -> str | None:
    """Return what stays of a value of a column, as the warehouse has it."""
    if kept.is_link:
        return link(text)
    given = json.loads(text)
    if not isinstance(given, dict):
        return None
    found = _object(given, kept, drop)
    if kept == NOTHING:
        return None
    return text if found == given else json.dumps(found, ensure_ascii=False, separators=(",", ":"))


Dropped = Counter[tuple[str, str]]
"""How many values were dropped, by metric and name."""


class Allowances:
    """What of the rows about people may be loaded, with what a setting names besides."""

    def __init__(self, named: Sequence[str] = ()) -> None:
        properties = replace(EVENT_PROPERTIES, named=tuple(dict.fromkeys(named)))
        self._rules: dict[str, dict[str, Kept]] = {
            table: {"other": NOTHING} for table in TRACES if table not in OTHER_IS_NEEDED
        }
        for table, columns in RULES.items():
            self._rules[table] |= columns
        self._rules["raw_klaviyo.events"]["event_properties"] = properties
        self.named = sorted(properties.named)

    @property
    def mark(self) -> str:
        """What tells these rules from others."""
        return hashlib.sha256(repr(sorted(self._rules.items())).encode()).hexdigest()[:16]

    def kept(self, table: str, rows: pa.Table) -> tuple[pa.Table, list[Dropped]]:
        """Return `rows` of a raw table as they may be loaded, and what was dropped, row by row."""
        dropped: list[Dropped] = [Counter() for _ in range(rows.num_rows)]
        metrics = rows.column("metric_id").to_pylist() if "metric_id" in rows.column_names else None
        for name, kept in self._rules.get(table, {}).items():
            column = rows.column(name)
            if name not in rows.column_names or column.null_count == rows.num_rows:
                continue
            prefix = "" if name == "event_properties" else f"{name}."
            stays = [
                text and _column(text, kept, _counting(dropped[row], metrics[row] if metrics else "", prefix))
                for row, text in enumerate(column.to_pylist())
            ]
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pa.array(stays, pa.string()))
        return rows, dropped

    def strip(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], now: datetime) -> None:
        """Bring the rows that are in the warehouse down to what may be loaded, in one transaction."""
        connection.begin()
        for table in tables:
            columns = list(self._rules.get(table.full_name, {}))
            for rows in _in_parts(connection, table, columns) if columns else ():
                kept, dropped = self.kept(table.full_name, rows)
                record(connection, table.full_name, sum(dropped, Counter()), now)
                put(connection, table, columns, kept)
        connection.commit()


def _counting(dropped: Dropped, metric_id: str | None, prefix: str) -> Callable[[str], None]:
    def drop(name: str) -> None:
        dropped[metric_id or "", _shown(f"{prefix}{name}")] += 1

    return drop


def _in_parts(
    connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """The key of each row that has a value in one of `columns`, with those, so many rows at a time."""
    names = dict.fromkeys(
        [*table.key, *columns, *(["metric_id"] if "metric_id" in table.sql_columns else [])]
    )
    chosen = ", ".join(f'"{name}"' for name in names)
    filled = " or ".join(f'"{name}" is not null' for name in columns)
    connection.execute(
        "create or replace temp table parts as "
        f"select {chosen}, row_number() over () as place from {table.full_name} where {filled}"
    )
    (count,) = connection.execute("select count(*) from parts").fetchall()[0]
    for start in range(0, count, _ROWS_AT_ONCE):
        place = f"place > {start} and place <= {start + _ROWS_AT_ONCE}"
        yield connection.sql(f"select * exclude (place) from parts where {place}").to_arrow_table()
    connection.execute("drop table parts")


def put(connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[str], kept: pa.Table) -> None:
    """Write `columns` of rows that are in a table already."""
    connection.register("kept", kept)
    values = ", ".join(f'"{name}" = kept."{name}"' for name in columns)
    same = " and ".join(f'held."{name}" = kept."{name}"' for name in table.key)
    connection.execute(f"update {table.full_name} as held set {values} from kept where {same}")
    connection.unregister("kept")


def record(connection: duckdb.DuckDBPyConnection, table: str, dropped: Dropped, now: datetime) -> None:
    """Add what was dropped to the counts in `raw_ops.dropped_properties`."""
    vendor, resource = table.removeprefix("raw_").split(".")
    ranked = dropped.most_common()
    counts = [(*names, count) for names, count in ranked[:_MOST_NAMES]]
    if rest := sum(count for _, count in ranked[_MOST_NAMES:]):
        counts.append(("", "(others)", rest))
    for metric_id, name, count in counts:
        connection.execute(
            """
            insert into raw_ops.dropped_properties values ($1, $2, $3, $4, $5, $6, $6)
            on conflict do update
            set value_count = value_count + excluded.value_count, last_seen_at = excluded.last_seen_at
            """,
            [vendor, resource, metric_id, name, count, now],
        )
