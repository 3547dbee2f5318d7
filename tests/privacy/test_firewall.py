"""Personal data never leaves, in any notation, and other text is not mistaken for it."""

import base64
import html
import json
import quopri
import urllib.parse
from array import array
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from activate import engine, records, templates
from activate.errors import Withheld
from activate.kinds import PERSONAS
from activate.kinds.brand_voices import uploaded
from activate.ledger import opening
from activate.mavera import Mavera
from activate.plan import Record
from activate.planning import Limits
from common import settings
from privacy import firewall, pseudonyms
from sandbox import mavera as sandbox_mavera
from sandbox.mavera.account import WORKSPACES
from sandbox.server import Sandbox, serving
from tests import activation


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
        "facts.favourite_colour is not declared in dbt_project/models/jobs/clv_tiers/_clv_tiers.yml"
    )


def test_what_no_fact_can_be_declared_as_is_said() -> None:
    with pytest.raises(ValueError, match=r"facts.n is declared as counts, which is none of count, share, "):
        firewall.undeclared({"n": 1}, {"n": "counts"}, "facts")


TYPES = st.sampled_from(["count", "share", "word", "date", "name", "flag", "currency"])
DECLARED = st.recursive(
    TYPES,
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | inner.map(lambda one: [one]),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, "a", "USD", "2026-11-30", "A b"]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)


@given(VALUES, DECLARED)
def test_facts_follow_their_declarations_where_nothing_in_them_is_named(value: Any, declared: Any) -> None:
    with patch("privacy.firewall._follows", return_value=False):
        named = firewall.undeclared(value, declared, "facts")
    assert firewall._follows(value, declared) == (named == "")


# --- attacks -----------------------------------------------------------------------------------------

few = examples(max_examples=80)
SALT = b"salt of the tests"
PEOPLE = (
    "Ada Lovelace",
    "José Núñez",
    "Mary Ann van der Berg",
    "Will Grace",
    "Мария Иванова",
    "Li-Wei O'Neil",
    "Ronald McDonald",
    "Maria del Carmen Garcia Lopez Hernandez",
)
KEYS = ("shop-4711-b", "0a1b2c3d4e", "customer4711")


def knowing(*names: str, keys: tuple[str, ...] = ()) -> firewall.Firewall:
    known = {pseudonyms.SALTED}.union(*(pseudonyms.known_by(name, "name") for name in names))
    known = known.union(*(pseudonyms.known_by(key, "key") for key in keys))
    hashes = sorted(pseudonyms.of_text(SALT, text) for text in known)
    return firewall.Firewall(array("q", hashes), SALT, ["own-secret"])


WALL = knowing(*PEOPLE, keys=KEYS)


def between(sign: str) -> Callable[[str], str]:
    return lambda text: sign.join(text)


def like(text: str) -> str:
    """Replace Latin letters with Cyrillic ones that look the same."""
    return text.translate(str.maketrans("aeopcxyAEOPCX", "аеорсхуАЕОРСХ"))


LOOKS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "look-alikes": like,
    "accents": lambda text: "".join(f"{c}\u0301" if c.isalpha() else c for c in text),
    "zero width": between("\u200b"),
    "joiners": between("\u2060"),
    "right to left": lambda text: f"\u202e{text}\u202c\u200f",
    "soft hyphens": between("\u00ad"),
}
CODES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe="")),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "named entities": lambda text: html.escape(text).replace("@", "&commat;").replace(".", "&period;"),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}
ATTACKS = {"look": st.sampled_from(sorted(LOOKS)), "code": st.sampled_from(sorted(CODES))}
BESIDE = st.sampled_from(["", "Write to ", "Best offers for ", "(", "100 % of 1,234: ", "“"])

labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
addresses = st.builds(
    "{}.{}@{}.{}".format, labels, labels, labels, st.sampled_from(["com", "org", "de", "example", "shop"])
)


@few
@given(address=addresses, before=BESIDE, **ATTACKS)
def test_an_address_is_recognised_in_any_script_and_encoding(
    address: str, before: str, look: str, code: str
) -> None:
    assert firewall.looks_personal(before + CODES[code](LOOKS[look](address))) == "an e-mail address"


@few
@given(
    address=addresses,
    at=st.sampled_from([" @ ", "@\n", "\u00a0@\u2003", '@", "', " (at) ", "[at]", " {AT} ", "＠", "﹫"]),
)
def test_an_address_that_is_split_or_spelled_is_recognised(address: str, at: str) -> None:
    name, domain = address.split("@")
    assert firewall.looks_personal(f"{name}{at}{domain}") == "an e-mail address"


@few
@given(name=labels, domain=labels, dot=st.sampled_from([" dot ", " DOT ", " Dot\n"]))
def test_an_address_in_words_is_recognised(name: str, domain: str, dot: str) -> None:
    assert firewall.looks_personal(f"{name} at {domain}{dot}com") == "an e-mail address"


@pytest.mark.parametrize(
    "text",
    [
        "ada@example dot com",
        "ada @ example dot com",
        f"https://t.example.org/u/{base64.b64encode(b'ada@example.com').decode()}",
        base64.b64encode(b"ada%40example.com").decode(),
        "a caption that was cut at ada.l@exam",
        "a caption that was cut at ada.l@example.c...",
    ],
)
def test_an_address_in_parts_of_a_text_is_recognised(text: str) -> None:
    assert firewall.looks_personal(text) == "an e-mail address"


def test_an_address_as_mail_quotes_it_is_recognised() -> None:
    quoted = quopri.encodestring(b"ada=lovelace@example.com").decode().replace("@", "=40")
    assert firewall.looks_personal(quoted) == "an e-mail address"


@few
@given(
    digits=st.text("0123456789", min_size=9, max_size=9),
    gap=st.sampled_from([" ", "-", "–", ".", "/", "\u00a0", " - ", "\n", "\u200b-"]),
    start=st.sampled_from(["+1", "+49 ", "0", "(0", "٠"]),
    look=st.sampled_from(["as it is", "full width", "zero width", "right to left"]),
)
def test_a_phone_number_is_recognised(digits: str, gap: str, start: str, look: str) -> None:
    end = ")" if start == "(0" else ""
    number = f"{start}{digits[:2]}{end}{gap}{digits[2:5]}{gap}{digits[5:]}"
    assert firewall.looks_personal(f"Call {LOOKS[look](number)} now") == "a phone number"


@pytest.mark.parametrize(
    "text",
    [
        "555-123-4567x89",
        "+1 555 123 4567 ext. 12",
        "call,0151 12345678",
        "0151\u00b71234\u00b75678",
        "0151_1234_5678",
    ],
)
def test_a_phone_number_is_recognised_with_an_extension_or_other_signs(text: str) -> None:
    assert firewall.looks_personal(text) == "a phone number"


@few
@given(
    name=st.sampled_from(PEOPLE), before=BESIDE, turned=st.booleans(),
    gap=st.sampled_from([" ", ", ", "\n", "_", "-", '", "', " M. ", "\u00a0", "/"]), **ATTACKS,
)  # fmt: skip
def test_a_full_name_is_recognised_in_any_order_script_and_encoding(
    name: str, before: str, turned: bool, gap: str, look: str, code: str
) -> None:
    first, last = name.split(" ", 1)
    written = gap.join([last, first] if turned else [first, last])
    assert WALL.looks_personal(f"{before}{CODES[code](LOOKS[look](written))}!") == "the name of a person"


@pytest.mark.parametrize(
    "text",
    [
        *("AdaLovelace", "NUNEZ, Jose", "from Mary van der Berg, Ann", "ada lovelace's list"),
        *("ronald mcdonald", "RONALD MCDONALD", "Mcdonald Ronald"),
    ],
)
def test_a_name_in_one_word_without_accents_or_in_another_order_is_recognised(text: str) -> None:
    assert WALL.looks_personal(text) == "the name of a person"


@pytest.mark.parametrize(
    "text", ["Ada", "Lovelace", "Grace period", "He will come", "Ada and Lovelace", "Will or Grace"]
)
def test_half_a_name_or_a_word_is_nobody(text: str) -> None:
    assert WALL.looks_personal(text) == ""


@few
@given(key=st.sampled_from(KEYS), **ATTACKS)
def test_a_vendors_key_is_recognised_beyond_its_form(key: str, look: str, code: str) -> None:
    written = CODES[code](LOOKS[look](key))
    assert WALL.looks_personal(f"for {written}.") == "an id of a person or a browser"


@pytest.mark.parametrize("text", ["user:shop-4711-b", "id_01HZ5R5V5R5V5R5V5R5V5R5V5R"])
def test_a_key_behind_a_word_for_it_is_recognised(text: str) -> None:
    assert WALL.looks_personal(text) == "an id of a person or a browser"


@few
@given(**ATTACKS)
def test_our_own_keys_are_recognised(look: str, code: str) -> None:
    assert WALL.looks_personal(f"see {CODES[code](LOOKS[look]('own-secret'))}") == "a key"


def test_two_facts_side_by_side_are_one_text(published: Path) -> None:
    medias = [{"share": 0.6, "media_name": "To ada"}, {"share": 0.5, "media_name": "@example.com, again"}]
    record = loaded(published, activation.but(activation.SKIMMERS, medias=medias))
    assert record.objection.endswith("looks like an e-mail address")


# --- harmless text -----------------------------------------------------------------------------------

HONEST = [
    *(
        "1,234,567 opens",
        "2026-08-23 to 2026-11-21",
        "45 %",
        "12,345.67 USD",
        "0.1234567890123",
        "24/7 support",
    ),
    *(
        "Spring sale 2026 (part 2)",
        "Collection 2024/2025/2026",
        "Sizes 36 38 40 42 44",
        "iPhone 15 Pro Max 256 GB",
    ),
    *("Look at acme.com for more", "Follow us @acme. Best offers inside", "Meet us at polka dot dresses"),
    *("3 for 2: 12.90 EUR", "Black Friday -20 %", "Q4/2026 & Q1/2027", "v1.2.3", "10 m² rug", "a=40 people"),
    *(
        "Grace and Will, Rose in April",
        "Buy 2 get 1 free",
        "1.000.000 happy customers",
        "Thing no. 12",
        "P100_P101",
    ),
    *("antidisestablishmentarianism", "50% off & free shipping!", "C++ course, part 10 of 12", "15:30:45"),
]


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_passes(text: str) -> None:
    assert WALL.looks_personal(text) == ""


words = st.sampled_from(
    ["Sale", "Rose", "Will", "Grace", "tea", "kettle", "our", "newsletter", "no.", "part", "&", "Ada"]
)
counts = st.integers(0, 99_999_999).map("{:,}".format)
money = st.decimals(0, 99_999, places=2).map("{} USD".format)
# An earlier day could be a date of birth.
days = st.dates(date(date.today().year - 9, 1, 1), date(2099, 1, 1)).map(date.isoformat)
shares = st.integers(0, 100).map("{} %".format)


PRIVATE: dict[str, list[str]] = {
    "a card number": ["4111 1111 1111 1111", "card 378282246310005", "5555-5555-5555-4444"],
    "an account number": ["DE89 3704 0044 0532 0130 00", "pay to GB82WEST12345698765432, please"],
    "a date of birth": [
        "born 3 May 1985", "DOB 1985-03-12", "Birthday: 12/05", "geboren am 12.03.1985", "1985-03-12",
        "12.03.1985", "March 12, 1985", "12 de marzo de 1985", "born 1985",
    ],
    "a postal address": [
        "221B Baker Street, London", "Hauptstraße 5", "Hauptstr. 12a", "P.O. Box 123", "12 rue de Rivoli",
        "Calle Mayor 12", "350 Fifth Ave", "742 Evergreen Terrace", "Keizersgracht 12",
    ],
    "an e-mail address": [
        "ada at gmail dot com", "ada arroba example punto com", "ada dot lovelace at example dot com",
        "ada punkt lovelace at example punkt de", "ada at gmail",
    ],
    "somebody's profile": ["linkedin.com/in/ada-love", "https://www.instagram.com/ada", "t.me/adalove"],
    "a place by its coordinates": ["48.1372, 11.5756", "51.5074,-0.1278", "48°08'14\"N", "lat 48.1372"],
    "a phone number": ["+47 22 33 44 55", "+4512345678", "+65 6123 4567"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "text"), [(what, text) for what, texts in PRIVATE.items() for text in texts]
)
def test_cards_accounts_birthdays_places_and_profiles_are_recognised(what: str, text: str) -> None:
    for look in (str, str.upper, lambda text: f"as {text} shows"):
        if not (look is not str and text.endswith(("Ave", "gmail"))):  # an address only at the end of a text
            assert firewall.looks_personal(look(text)) == what


@pytest.mark.parametrize(
    "text",
    [
        "5 tips for the road", "7 ways to drive traffic", "3 videos about Main Street", "Since 1998",
        "0.1234, 0.5678", "May 3, 2026", "12.05.2026", "born to run", "marketplace 2", "string 5",
        "facebook.com/company/acme", "2 day road trip", "100 x 200 cm, 4.5000 stars", "Birthday offer",
    ],
)  # fmt: skip
def test_what_only_reminds_of_them_passes(text: str) -> None:
    assert firewall.looks_personal(text) == ""


SHORT_NAMES = {
    "李 娜": ["李 娜", "李娜", "我们的客户李娜喜欢", "娜 李"],
    "E Park": ["E Park", "e. park", "Park, E"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(n, f"{t} bought") for n, texts in SHORT_NAMES.items() for t in texts]
)
def test_a_name_of_one_letter_parts_is_recognised(name: str, text: str) -> None:
    assert knowing(name).looks_personal(f"{text} bought") == "the name of a person"
    assert knowing("Ada Lovelace").looks_personal(text) == ""


def test_one_letter_beside_a_word_is_nobody() -> None:
    wall = knowing("E Park", "李 娜", "Ada M Lovelace")
    for text in ("Plan E in the park", "李 was here", "娜", "e-book", "a park"):
        assert wall.looks_personal(text) == "", text
    assert wall.looks_personal("Ada Lovelace") == "the name of a person"


@few
@given(st.lists(st.one_of(words, counts, money, days, shares), min_size=1, max_size=12))
def test_words_with_counts_money_dates_and_shares_pass(parts: list[str]) -> None:
    assert knowing("Ada Lovelace").looks_personal("; ".join(parts)) == ""


@few
@given(text=st.text(max_size=250))
def test_any_text_becomes_one_bounded_line_that_closes_its_quotes(text: str) -> None:
    environment = templates.Jobs(records.JOBS).environment
    said = environment.from_string("{{ text | said }}").render(text=records._tidy(text))
    assert said.count('"') == 2
    assert said.splitlines() == [said]
    assert len(said) <= records.TEXT_FACT_CHARACTERS + 2
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in said)
    assert json.loads(json.dumps({"text": records._tidy(text)}))["text"] == records._tidy(text)


# --- the bytes that leave ----------------------------------------------------------------------------


UUID = "0b0c2f0e-54a1-4b52-9d2e-3f9b1c2d4e5f"


@pytest.mark.parametrize(
    ("body", "field", "what"),
    [
        ({"thread_id": UUID, "message": "m"}, "", ""),
        ({"message": UUID}, "the body.message", "an id of a person or a browser"),
        ({"thread_id": "ada@example.com"}, "the body.thread_id", "an e-mail address"),
        ({"persona_ids": ["shop-4711-b"]}, "the body.persona_ids[0]", "an id of a person or a browser"),
        ({"input_data": {"topic": "Ada Lovelace"}}, "the body.input_data.topic", "the name of a person"),
        ({"answers": [{"rows": ["ada@example.com"]}]}, "the body.answers[0].rows[0]", "an e-mail address"),
        ({"ada@example.com": 1}, "a key in the body", "an e-mail address"),
        ({"message": "as measured\n\nRef: clv-tiers:top 123456789012"}, "", ""),
        ({"message": "call 004930123456 Ref: x 12345678901a"}, "the body.message", "a phone number"),
    ],
)  # fmt: skip
def test_what_is_in_the_bytes_of_a_call_is_named_by_its_field(
    body: dict[str, Any], field: str, what: str
) -> None:
    assert WALL.objection_to(json.dumps(body).encode()) == (f"{field} looks like {what}" if what else "")


def test_a_file_is_looked_through_as_a_whole() -> None:
    assert WALL.objection_to(b"Said by\nAda Lovelace") == "the file looks like the name of a person"


def test_nothing_is_sent_of_what_is_withheld_and_its_record_is_held(tmp_path: Path, published: Path) -> None:
    sandbox = Sandbox(activation.world(), limits="off")
    with serving(sandbox) as url:
        account = Mavera(f"{url}/mavera/api/v1", sandbox_mavera.KEY, "enterprise", firewall=WALL)
        with pytest.raises(Withheld, match=r"^the body\.name looks like the name of a person$"):
            PERSONAS.create(account, {"name": "Ada Lovelace", "description": "x"})
        with pytest.raises(Withheld, match=r"^the file looks like an e-mail address$"):
            uploaded(account, "Tour", "ask ada@example.com", WORKSPACES[0].workspace_id)
        assert {entry.path.rsplit("/", 1)[-1] for entry in sandbox.journal} == {"upload-url"}

        record = loaded(published, activation.TOP)
        payload = {**record.payload, "description": f"{record.payload['description']} for Ada Lovelace"}
        changed = replace(record, payload=payload)
        ledger = opening.connect(f"sqlite:///{tmp_path / 'ledger'}", f"{url}/mavera/api/v1", write=True)
        limits = Limits(2_000, None, 20, 0)
        outcome = engine.apply([changed], ledger, account, ["personas"], limits)
        assert outcome.results[record.key].state == "held"
        assert outcome.results[record.key].text == "the body.description looks like the name of a person"
        assert ledger.calls() == []
        assert not [
            entry for entry in sandbox.journal if entry.path.endswith("/personas") and entry.method == "POST"
        ]


def test_what_only_the_last_look_would_withhold_is_held_by_the_plan_in_the_same_words(
    published: Path,
) -> None:
    # Twenty digits are not a phone number, but the twelve that fit beside the reference are.
    cut_short = activation.but(
        activation.PAIR, name="Bought together: kettles and teacups 0301 2345 6789 0123 4567"
    )
    activation.publish(published, studies=(cut_short,))
    set_up = settings.Settings(_env_file=None, published_path=published, mavera_workspace_id="ws_1")
    (record,) = records.load(set_up, ["focus-groups"])
    assert record.objection == "the body.name looks like a phone number"
    with pytest.raises(Withheld, match=f"^{record.objection}$"):
        Mavera("http://localhost", "key", firewall=records.guard(set_up)).check(record.payload)


def test_the_name_under_which_a_transcript_would_be_uploaded_is_looked_at_before(published: Path) -> None:
    as_a_file = [{"name": "Orders 12,345, 67,890", "text": "Said."}]
    activation.publish(published, (), voices=(activation.but(activation.VOICE, documents=as_a_file),))
    set_up = settings.Settings(
        _env_file=None,
        published_path=published,
        mavera_workspace_id="ws_1",
        mavera_transcripts_may_leave=True,
    )
    (record,) = records.load(set_up, ["brand-voices"])
    assert record.objection == "the body.file_name looks like a phone number"


# --- addresses of machines ---------------------------------------------------------------------------

IPV6 = """
    2001:db8::1
    2001:DB8::A1
    2001:0db8:0000:0000:0000:ff00:0042:8329
    2001:db8:0:0:1::1
    2001:db8:1:2:3:4:5::
    2001:db8::
    2001:db8::/32
    ::1
    fe80::1%eth0
    http://[fe80::1%25eth0]/
    [2001:db8::1]:443
    http://[2001:db8::1]:8080/tour
    ip=2a00:1450:4001:82a::200e,
    seen at 2001:db8::1.
    seen at 2001:db8::1: twice
    ::ffff:192.0.2.128
    ::ffff:c000:280
    64:ff9b::192.0.2.33
    2001%3Adb8%3A%3A1
"""
NO_ADDRESS = """
    12:30:45
    at 12:30:45.
    2026-01-01T12:30:45+00:00
    00:00:03,000 --> 00:00:08,000
    Open 9:00-17:00
    16:9
    3:2:1
    4::3
    10:15:20:25
    std::vector
    Add::Face
    left :: right
    ::
"""


@pytest.mark.parametrize("text", [text.strip() for text in IPV6.strip().splitlines()])
def test_an_ipv6_address_is_recognised_in_every_spelling(text: str) -> None:
    assert firewall.looks_personal(text) == firewall.looks_personal(f"Watched from {text}") == "an IP address"


@pytest.mark.parametrize("text", [text.strip() for text in NO_ADDRESS.strip().splitlines()])
def test_a_time_or_a_ratio_is_no_ipv6_address(text: str) -> None:
    assert firewall.looks_personal(text) == firewall.looks_personal(f"Watched {text}, once") == ""
