"""How a raw table says who somebody is, and SQL that finds a person in rows and texts.

Each table about people declares a Trace (`ingest/vendors/<vendor>/tables.py`). All that must know people goes
by it: what is loaded of a row, the firewall, `make forget`, tombstones, hashes in place of addresses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


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


def names_in(text: str) -> tuple[str, ...]:
    """Return names that commas part."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


PRODUCT_IDS: Final = names_in(
    "ProductID, Product ID, Product Id, product_id, SKU, VariantID, VariantId, Variant ID"
)
NOTHING: Final = Kept()
LINK: Final = Kept(is_link=True)


@dataclass(frozen=True)
class Trace:
    """How a raw table says whose a row is.

    `addresses`, `phones` and `names` are SQL for what a row holds of each; a name may have several parts.
    `key` is the column of the vendor's key of the person or the browser; `other_keys` are columns of further
    keys, such as a shop's own. In a table that `is_owner` each row is a person, so it says whose key that is.

    `kept` gives for each column with an object or a link what of it may be loaded; `other`, the fields that
    no column has, is not loaded unless `keeps_other`. `widened_by` names the setting that allows more. A
    table is `given_on` where the vendor gives the rows of a merged person to another.
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
        """Column to what of it may be loaded."""
        return ({} if self.keeps_other else {"other": NOTHING}) | dict(self.kept)

    @property
    def nobodys(self) -> str:
        """SQL of whether a row has no address; a phone number may be shared by people who have their own."""
        return " and ".join(f"coalesce(trim({each}), '') = ''" for each in self.addresses) or "true"


def normal(address: str) -> str:
    """Return an address as it is compared: in small letters, without blanks around it."""
    return address.strip().lower()


def same_address(sql: str) -> str:
    """SQL of an address as it is compared."""
    return f"lower(trim({sql}, concat(' ', chr(9), chr(10), chr(11), chr(12), chr(13))))"


# An address inside a longer text, as in JSON or a link; an apostrophe is part of it between letters only.
_PART: Final = r"""[^\s@"'<>(),;:\\/=&?%]"""
ADDRESS: Final = rf"{_PART}+(?:'{_PART}+)*@{_PART}*[^\s@\"'<>(),;:\\/=&?%.]"


def readable(sql: str) -> str:
    """SQL of a text in small letters, with its addresses as one writes them, not as JSON or a link does."""
    for pattern, sign in (
        (r"%(25)*40|\\+u0040", "@"),
        ("%(25)*2b", "+"),
        ("%(25)*27", "''"),
        (r"\\+[bfnrt]", " "),
    ):
        sql = f"regexp_replace({sql}, '{pattern}', '{sign}', 'gi')"
    return rf"lower(replace({sql}, '\', ''))"


def mentions(entry: str) -> str:
    """SQL of whether a row, anywhere in it, names `$address`; one that ends in the same is another."""
    text = readable(f"{entry}::varchar")
    return (
        f"(contains(lower({entry}::varchar), split_part($address, '@', 2)) and regexp_matches({text}, concat("
        "'(^|[^a-z0-9._%+''-]|[^a-z0-9]'')', regexp_escape($address), '(\\.?[^a-z0-9.-]|\\.?$)')))"
    )


# Between the digits of a phone number; a number inside a longer text, as people and links write it.
GAP: Final = r"(?:[ ().\-/]|%20)"
NUMBER: Final = rf"(?:\+|00|\()?[0-9](?:{GAP}*[0-9]){{6,14}}"


def written(phone: str) -> str:
    """Return a pattern of a phone number in a readable text, however it is written; of a hash, that hash.

    Without its country it is one only with gaps, a leading 0 or in quotes: the bare digits are as often the
    number of something else.
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
    """The country's digits of a phone number and the others."""
    import phonenumbers  # see pseudonyms.normal_phone

    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return "", phone.removeprefix("+")
    return str(parsed.country_code), phonenumbers.national_significant_number(parsed)


def names_phone(entry: str, trace: Trace | None, pattern: str) -> str:
    """SQL of whether a row, unless it has an owner with another address, names a phone number."""
    free = f"{trace.nobodys} and " if trace and trace.is_owner else ""
    return f"({free}regexp_matches({readable(f'{entry}::varchar')}, {pattern}))"
