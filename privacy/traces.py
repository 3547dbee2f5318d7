"""The columns of raw tables that identify people, and SQL that finds a person in rows and texts.

Each table about people declares a Trace (`ingest/vendors/<vendor>/tables.py`). It selects the fields to load,
and is used by the firewall, `make forget`, tombstones, and hashes in place of addresses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Kept:
    """The parts of a JSON object that are loaded.

    `names` are kept if their value is text, a number, true or false, or a list of those, without an e-mail
    address or a phone number. `links` keep their path and harmless parameters. `inside` gives the fields to
    keep of objects and of lists of objects. `products` are kept next to a product's id: elsewhere the same
    name may be a person's. `named` are kept whole because a setting asks for them. A `known` object is about
    a person by design, so its texts are not checked. A column that `is_link` has a link instead of an object.
    """

    names: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    inside: Mapping[str, "Kept"] = field(default_factory=dict, hash=False)
    products: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    known: bool = False
    is_link: bool = False


def names_in(text: str) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


PRODUCT_IDS: Final = names_in(
    "ProductID, Product ID, Product Id, product_id, SKU, VariantID, VariantId, Variant ID"
)
NOTHING: Final = Kept()
LINK: Final = Kept(is_link=True)


@dataclass(frozen=True)
class Trace:
    """The columns of a raw table that identify the person of a row.

    `addresses`, `phones` and `names` are SQL for those of a row; a name may have several parts. `key` is the
    column of the vendor's key for the person or browser; `other_keys` are columns of further keys, such as a
    shop's. In a table that `is_owner`, each row is a person and so assigns the key.

    `kept` gives the parts to load for each column with an object or a link. `other` (fields without a column)
    is loaded only if `keeps_other`. `widened_by` names the setting that allows more. `given_on`: the vendor
    moves the rows of a merged person to another person.
    """

    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()
    key: str = ""
    other_keys: tuple[str, ...] = ()
    is_owner: bool = False
    kept: Mapping[str, Kept] = field(default_factory=dict, hash=False)
    keeps_other: bool = False
    widened_by: str = ""
    given_on: bool = False

    @property
    def rules(self) -> dict[str, Kept]:
        """The rule of each column with an object or a link."""
        return ({} if self.keeps_other else {"other": NOTHING}) | dict(self.kept)

    @property
    def nobodys(self) -> str:
        """SQL for whether a row has no address; people with their own addresses may share a phone number."""
        return " and ".join(f"coalesce(trim({each}), '') = ''" for each in self.addresses) or "true"


def normal(address: str) -> str:
    """Return an address for comparison: in lower case, without surrounding blanks."""
    return address.strip().lower()


def same_address(sql: str) -> str:
    """Return SQL for an address in the form for comparison."""
    return f"lower(trim({sql}, concat(' ', chr(9), chr(10), chr(11), chr(12), chr(13))))"


# An address inside a longer text, as in JSON or a link; an apostrophe belongs to it only between letters.
_PART: Final = r"""[^\s@"'<>(),;:\\/=&?%]"""
ADDRESS: Final = rf"{_PART}+(?:'{_PART}+)*@{_PART}*[^\s@\"'<>(),;:\\/=&?%.]"


def readable(sql: str) -> str:
    """Return SQL for a text in lower case, with addresses in plain form instead of JSON's or a link's."""
    for pattern, sign in (
        (r"%(25)*40|\\+u0040", "@"),
        ("%(25)*2b", "+"),
        ("%(25)*27", "''"),
        (r"\\+[bfnrt]", " "),
    ):
        sql = f"regexp_replace({sql}, '{pattern}', '{sign}', 'gi')"
    return rf"lower(replace({sql}, '\', ''))"


def mentions(entry: str) -> str:
    """Return SQL for whether a row contains `$address` anywhere; a longer address with its ending differs."""
    text = readable(f"{entry}::varchar")
    return (
        f"(contains(lower({entry}::varchar), split_part($address, '@', 2)) and regexp_matches({text}, concat("
        "'(^|[^a-z0-9._%+''-]|[^a-z0-9]'')', regexp_escape($address), '(\\.?[^a-z0-9.-]|\\.?$)')))"
    )


# Separators between the digits of a phone number in a longer text, as people and links write them.
GAP: Final = r"(?:[ ().\-/]|%20)"
NUMBER: Final = rf"(?:\+|00|\()?[0-9](?:{GAP}*[0-9]){{6,14}}"


def written(phone: str) -> str:
    """Return a pattern for a phone number in any notation in a readable text; for a hash, that hash.

    Without its country, it needs gaps, a leading 0 or quotes: bare digits are often some other number.
    """
    if not re.fullmatch(r"\+?[0-9]+", phone):
        return re.escape(phone.lower())
    country, digits = parts_of(phone)
    anyhow = f"{GAP}*".join
    gapped = [f"{anyhow(digits[:at])}{GAP}+{anyhow(digits[at:])}" for at in range(1, len(digits))]
    ways = [*gapped, f'"{digits}"', f"0{GAP}*{anyhow(digits)}"]
    if country:
        ways.append(rf"(?:00{GAP}*)?{anyhow(country)}{GAP}*(?:0{GAP}*)?{anyhow(digits)}")
    return f"(?:^|[^0-9])(?:{'|'.join(ways)})(?:[^0-9]|$)"


def parts_of(phone: str) -> tuple[str, str]:
    """Return the country digits of a phone number and the others."""
    import phonenumbers  # see pseudonyms.normal_phone

    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return "", phone.removeprefix("+")
    return str(parsed.country_code), phonenumbers.national_significant_number(parsed)


def names_phone(entry: str, trace: Trace | None, pattern: str) -> str:
    """Return SQL for whether a row names a phone number and has no owner with another address."""
    free = f"{trace.nobodys} and " if trace and trace.is_owner else ""
    return f"({free}regexp_matches({readable(f'{entry}::varchar')}, {pattern}))"
