"""Recognize personal data in a text, in any spelling and encoding: addresses, numbers, ids, dates.

A text is searched as it reads (folded: accents, width, invisible signs, look-alike letters) and again with
its encodings undone. docs/decisions/firewall.md describes names, and the data that cannot be recognized.
"""

import base64
import binascii
import html
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

import phonenumbers
from stdnum import iban, luhn

from privacy import pseudonyms

# Domains with these endings are recognized even with blanks: "example . com" is not the end of a sentence.
_TOP: Final = r"(?:com|net|org|edu|gov|info|biz|io|de|uk|fr|nl|es|eu|ch|ca|au|jp|br|pl|se|dk|fi|example)"
_OUTSIDE: Final = r"[^\s@\"'<>(),;:]+"
_ADDRESS: Final = re.compile(
    rf"(?<![^\s@\"'<>(),;:]){_OUTSIDE}[\s\"',]*@[\s\"',]*(?:{_OUTSIDE}\.\w{{2,}}|[\w-]+(?:\s*\.\s*[\w-]+)*?\s*\.\s*{_TOP}\b)"
    # Spelled: ada at example dot com, ada (at) example.com, ada.lovelace at example.com
    rf"|(?<![\w.+-])[\w.+-]+(?:\s+at\s+|\s*@\s*)[\w-]+(?:\s+dot\s+[\w-]+)*?\s+dot\s+{_TOP}\b"
    r"|(?<![\w.+-])[\w.+-]+\s*[\[({<]\s*at\s*[\])}>]\s*[\w-]+\s*(?:\.|[\[({<]?\s*dot\s*[\])}>]?)\s*\w{2,}"
    rf"|\b\w+[._]\w+\s+at\s+[\w-]+\.{_TOP}\b"
    # Truncated by the limit of a text: ada@exam
    rf"|{_OUTSIDE}@[\w.-]*(?:\.\.\.)?\Z"
)
# Vendors' own forms: SG.…, pk_…, mvra_live_…, sk-…, bearer tokens; and those of common services.
_KEY: Final = re.compile(
    r"\b(?:sg\.|pk_|sk[_-]|rk_|mvra_|xox[a-z]-|akia|aiza|gh[opsu]_|glpat-|eyj[\w-]{8,}\.)[\w.-]{8,}"
    r"|\bbearer\s+[\w.-]{16,}|-----begin "
)
# Cookie ids of Wistia (40 hexadecimal digits; a time with a tail), UUIDs, ULIDs of Klaviyo profiles.
_ID: Final = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{16,}\b|\d{9,}[a-f][0-9a-f]*\.\d+|\d{9,}_[0-9a-z-]{4,}"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-z])|01[0-9a-hjkmnp-tv-z]{24}(?![0-9a-z]))"
)
_ID_SHAPE: Final = re.compile(_ID.pattern.replace("|01[", "|0[01]["))  # where every digit is a 0
_IP: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
# Dates, decimals and rows of years are removed before the search for phone numbers: digits with short
# separators. A comma is none, so 1,234,567 is a plain number; nine digits without separators are one too.
_NUMBERS: Final = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|(?<![\d.+])\d+\.\d+(?![\d.])|\b(?:19|20)\d\d(?:\s?[-/ ]\s?(?:19|20)\d\d)+\b"
)
_PHONE: Final = re.compile(
    r"(?<!\w)(?<!\d,)(?:\+\s?)?\(?\d{1,5}\)?(?:[ .\-/_\u00b7]{0,3}\(?\d{2,5}\)?){1,6}"
    r"(?:\s?(?:x|ext\.?)\s?\d{1,5})?(?![\w%])"
)
_PHONE_DIGITS: Final = range(9, 16)
_SIZES: Final = re.compile(r"[1-9]\d(?:[ \-/]{1,2}[1-9]\d)+")  # 36 38 40 42 44: phones begin with 0 or +

_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|=([0-9A-F]{2})")
_ENCODED_CHARACTERS: Final = 12
_ENCODED: Final = re.compile(rf"(?<![\w+/-])[A-Za-z0-9+/_-]{{{_ENCODED_CHARACTERS},}}={{0,2}}")
DEEPEST: Final = 3  # levels of nested encodings that are undone

# An e-mail address in words: ada dot lovelace at example dot com, in several languages.
_AT: Final = r"(?:at|arroba|chiocciola|klammeraffe|snabel-?a|aet|malpa)"
_DOT: Final = r"(?:dot|punkt|punto|point|ponto|period|punt|kropka)"
_SPELLED: Final = re.compile(
    rf"\b[\w.+-]+\s+{_AT}\s+[\w-]+(?:\s*(?:{_DOT}|\.)\s*[\w-]+)*?\s+{_DOT}\s+{_TOP}\b"
    rf"|\b\w+\s+(?:{_DOT}|underscore|unterstrich)\s+\w+\s+{_AT}\s+[\w-]+\s*(?:{_DOT}|\.)\s*{_TOP}\b"
    rf"|\b[\w.+-]+\s+{_AT}\s+(?:gmail|outlook|hotmail|yahoo|icloud|gmx|proton(?:mail)?|aol|web)(?:[\s.]+(?:com|de|net|fr)\b|[,;.]|\Z)"
    rf"|\b[\w.+-]+\s*[\[({{<]\s*{_AT}\s*[\])}}>]\s*[\w-]+\s*(?:\.|[\[({{<]?\s*{_DOT}\s*[\])}}>]?)\s*\w{{2,}}"
)
# Words between a number and "street" that show that it is not an address: five tips for the road.
_LITTLE: Final = (
    r"(?:for|the|of|to|on|in|an?|and|with|your|our|this|that|off|per|more|tips|day|ways"
    r"|about|at|by|from|new|best|great|videos?|people|things|reasons|ideas|steps|years|minutes|hours|is|are)"
)
_STREET: Final = re.compile(
    rf"\b\d{{1,5}}\s?[a-z]?,?\s+(?:(?!{_LITTLE}\b)[a-z][a-z'.-]+\s+){{1,3}}"
    r"(?:street|avenue|road|boulevard|blvd|lane|terrace|crescent|parkway|(?:st|ave|rd|ln)(?=\.|,|\s*\Z))(?=[\s,.;]|\Z)"
    r"(?!\s+(?:trip|show|map|block|bike|race|test|food|style|wear|smart|party|art)\b)"
    r"|\b[a-z-]{3,}(?:strasse|str\.|gasse|allee|platz|damm|ufer)\s+\d{1,4}\s?[a-z]?\b"
    r"|\b[a-z-]{4,}(?:straat|laan|gracht|vagen|gatan|katu)\s+\d{1,4}\s?[a-z]?\b"
    r"|\b\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:rue|boulevard|avenue|chemin|impasse|quai)\s+(?:d[eu]s?|l[ae]s?|[a-z]{3,})"
    r"|\b(?:calle|avenida|viale|piazza|rua|ulica|ul\.)\s+[a-z][a-z .'-]{2,30},?\s+(?:n[o\xba.]*\s*)?\d{1,4}\b"
    r"|\bp\.?\s?o\.?\s?box\s+\d+"
)
_PROFILE: Final = re.compile(
    r"\b(?:linkedin\.com/(?:in|pub)|xing\.com/profile|bsky\.app/profile|snapchat\.com/add)/[\w.%-]{2,}"
    r"|\b(?:tiktok\.com|youtube\.com|threads\.net|threads\.com|medium\.com|mastodon\.\w+)/@[\w.-]{2,}"
    r"|\b(?:wa\.me|t\.me)/\+?[\w]{4,}"
    r"|\b(?:facebook|fb|instagram|twitter|x|vk|github|pinterest)\.com/"
    r"(?!(?:share|sharer|intent|hashtag|watch|company|school|events?|groups?|pages?|help|about|legal|login|p|"
    r"reels?|explore|search|home|i|dialog|plugins|stories|tr)\b)[\w.-]{3,}"
)
_DECIMALS: Final = re.compile(r"(?<![\d.])([+-]?\d{1,2}\.\d{4,})\s*[,;/| ]\s*([+-]?\d{1,3}\.\d{4,})(?![\d.])")
_PLACE: Final = re.compile(
    r"\b\d{1,3}(?:\.\d+)?\s*[\xb0\xba]\s*(?:\d{1,2}(?:\.\d+)?\s*['\u2032]\s*)?(?:\d{1,2}(?:\.\d+)?\s*[\"\u2033]\s*)?[nsewo]\b"
    r"|\b(?:lat|latitude|lon|long|lng|longitude)\b\W{0,3}[+-]?\d{1,3}\.\d{2,}"
)
_IPV6: Final = re.compile(r"(?<![\w:.])(?=[0-9a-f]*:[0-9a-f]*:)[0-9a-f:]+(?:(?:\d{1,3}\.){3}\d{1,3})?(?!\w)")
_RATIO: Final = re.compile(r"\d{0,2}::\d{0,2}")  # such as 3::1; a lone :: is a separator
_CARD: Final = re.compile(r"(?<![\w.])[3-6]\d(?:[ -]?\d){11,17}(?![\w.])")
_IBAN: Final = re.compile(r"\b[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}\b")
_MONTHS: Final = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez|ene|abr|ago|dic|fev|avr|juin|juil|aou)"
    r"[a-z]*\.?"
)
_DAY: Final = re.compile(
    r"\b(?P<iso>\d{4})[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\s?\d{1,2}[-/.]\s?(?P<end>\d{4})\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:de\s+|of\s+)?{_MONTHS}\s+(?:de\s+)?(?P<long>\d{{4}})\b"
    rf"|\b{_MONTHS}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?P<us>\d{{4}})\b"
)
_BIRTH: Final = (
    r"(?:born|birth(?:day|date)?|date of birth|d\.?o\.?b\b|geboren|geburts(?:tag|datum)|naissance|nee? le"
    r"|nacid[oa]|nacimiento|nat[oa] il|nascita|nascimento|geboortedatum)"
)
_BORN: Final = re.compile(
    rf"\b{_BIRTH}\b\W{{0,3}}(?:\w+\W{{1,2}}){{0,3}}?"
    rf"(?:\d{{1,4}}[-/.]\s?\d{{1,2}}(?:[-/.]\s?\d{{2,4}})?\b"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTHS}(?:\W|\Z)"
    rf"|{_MONTHS}\s+\d{{1,2}}\b|(?:19|20)\d\d\b)"
)
_ALIKE_CHARACTERS: Final = 1_000  # hardly two longer texts differ in digits alone
AS_0: Final = str.maketrans("123456789", "0" * 9)
Detector = tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]]
_OLD_YEARS: Final = 10  # an older full date counts as a date of birth


def looks_personal(text: str) -> str:
    """Return the kind of personal data in a text, or an empty string."""
    return looks_in(pseudonyms.folded(reading) for reading in readings(text))


def looks_in(folded: Iterable[str]) -> str:
    """Return the kind of personal data in the folded readings of a text, or an empty string."""
    found = (what for reading in folded for what, _ in _found(" ".join(reading.split())))
    return next(found, "")


def readings(text: str) -> Iterator[str]:
    """Yield a text unchanged, then with its encodings undone, then its decoded base64."""
    yield text
    plain = text
    for _ in range(DEEPEST):
        before, plain = plain, _undone(plain)
        if plain == before:
            break
        yield plain
    long = " ".join([word for word in plain.split() if len(word) >= _ENCODED_CHARACTERS])
    for found in _ENCODED.findall(long):
        # A slash is a character of base64, but also separates the parts of a link.
        for part in {found, *_ENCODED.findall(found.replace("/", " "))} if "/" in found else (found,):
            unpacked = _unpacked(part)
            if unpacked is not None:
                yield unpacked
                yield _undone(unpacked)


@lru_cache(maxsize=2**14)
def _unpacked(part: str) -> str | None:
    """Return the text in base64; None if there is none."""
    packed = part.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _undone(text: str) -> str:
    if not any(sign in text for sign in "\\=%&"):
        return text
    return html.unescape(urllib.parse.unquote(_ESCAPED.sub(_unescaped, text)))


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2] or found[3], 16))


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of personal data in a folded text."""
    return (span for _, span in _found(text))


def _found(folded: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the kind and place of personal data in a folded text."""
    possible = _possible if len(folded) <= _ALIKE_CHARACTERS else _possible.__wrapped__
    detectors, may_be_number = possible(folded.translate(AS_0))
    for what, pattern, is_one in detectors:
        yield from ((what, found.span()) for found in pattern.finditer(folded) if is_one(found))
    if may_be_number:
        for found in _PHONE.finditer(_NUMBERS.sub(_blotted, folded)):
            digits = sum(sign.isdigit() for sign in found[0])
            is_number = digits == len(found[0]) == _PHONE_DIGITS.start or _SIZES.fullmatch(found[0])
            if digits in _PHONE_DIGITS and not is_number:
                yield "a phone number", found.span()
    if "+" in folded:  # the library knows the length of each country's numbers
        for number in phonenumbers.PhoneNumberMatcher(folded, None):
            yield "a phone number", (number.start, number.end)


def _blotted(found: re.Match[str]) -> str:
    return "|" * len(found[0])


def _is_card(found: re.Match[str]) -> bool:
    return bool(luhn.is_valid(re.sub(r"\D", "", found[0])))


def _is_iban(found: re.Match[str]) -> bool:
    # The match may include text after the account number.
    compact = re.sub(r"[ -]", "", found[0])
    return any(iban.is_valid(compact[:length]) for length in range(15, min(len(compact), 34) + 1))


def _is_ipv6(found: re.Match[str]) -> bool:
    # A colon after an address belongs to the sentence. The prefix 2001:db8:: ends in two of its own.
    address = found[0].removesuffix(":") if not found[0].endswith("::") else found[0]
    if (_RATIO.fullmatch(address) and address != "::1") or not any(sign.isdigit() for sign in address):
        return False
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return True


def _is_place(found: re.Match[str]) -> bool:
    north, east = abs(float(found[1])), abs(float(found[2]))
    return north <= 90 and east <= 180 and max(north, east) >= 1


def _is_old(found: re.Match[str]) -> bool:
    year = int(next(filter(None, found.groupdict().values())))
    return 1900 <= year <= datetime.now(UTC).year - _OLD_YEARS


@lru_cache(maxsize=2**12)
def _possible(shape: str) -> tuple[tuple[Detector, ...], bool]:
    """Return what a text may have, and whether it may have a phone number.

    `shape` is the text `AS_0`: which digits it has does not matter to a glance, and many texts differ in
    them alone.
    """
    glance = Glance(shape)
    detectors = tuple(
        (what, pattern, is_one) for what, pattern, is_one, may_be in _DETECTORS if may_be(glance)
    )
    return detectors, may_be_phone(glance)


# --- a glance before the search ------------------------------------------------------------------------

# Each search takes 30 to 300 microseconds for a text of 2,000 characters. A glance takes a few, and says that
# a text cannot have what is searched for: without @ and " at " there is no e-mail address. It may be wrong in
# the other direction only. test_personal.py compares both.


class _Shapes(dict[int, str]):
    """A table for `str.translate` that writes every digit as 0 and, if asked for, every Latin letter as a."""

    def __init__(self, *, letters: bool = False) -> None:
        self._letters = letters

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        is_letter = self._letters and "a" <= sign <= "z"
        self[code] = "0" if sign.isdecimal() else "a" if is_letter else sign
        return self[code]


_DIGITS_AS_0: Final = _Shapes()
_LETTERS_AS_A: Final = _Shapes(letters=True)
_LETTERS_ALONE: Final = {code: chr(code) if chr(code).isalpha() else " " for code in range(128)}
_BETWEEN_DIGITS: Final = " .-/_\u00b7()+"
_ATS: Final = ("at", "arroba", "chiocciola", "klammeraffe", "snabela", "snabel-a", "aet", "malpa")
_DOTS: Final = ("dot", "punkt", "punto", "point", "ponto", "period", "punt", "kropka")
_AT_WORDS: Final = frozenset({*_ATS, "snabel"})
_SIGNS: Final = frozenset({*_DOTS, "underscore", "unterstrich"})
_MAIL_HOSTS: Final = ("gmail", "outlook", "hotmail", "yahoo", "icloud", "gmx", "proton", "aol", "web")
_KEYS: Final = (
    *("sg.", "pk_", "sk_", "sk-", "rk_", "mvra_", "xox", "akia", "aiza", "gho_", "ghp_", "ghs_", "ghu_"),
    *("glpat-", "eyj"),
)
_BIRTHS: Final = frozenset(
    [
        "born",
        "birth",
        "birthday",
        "birthdate",
        "dob",
        "ob",
        "b",
        "geboren",
        "geburtstag",
        "geburtsdatum",
        "naissance",
        "ne",
        "nee",
        "nacido",
        "nacida",
        "nacimiento",
        "nato",
        "nata",
        "nascita",
        "nascimento",
        "geboortedatum",
    ]
)
_STREETS: Final = frozenset(
    [
        "street",
        "avenue",
        "road",
        "boulevard",
        "blvd",
        "lane",
        "terrace",
        "crescent",
        "parkway",
        "st",
        "ave",
        "rd",
        "ln",
        "rue",
        "chemin",
        "impasse",
        "quai",
        "calle",
        "avenida",
        "viale",
        "piazza",
        "rua",
        "ulica",
        "ul",
        "box",
        "obox",
        "pobox",
    ]
)
_STREET_ENDS: Final = (
    *("strasse", "str.", "gasse", "allee", "platz", "damm", "ufer", "straat", "laan", "gracht", "vagen"),
    *("gatan", "katu"),
)
_PROFILES: Final = (".com/", "bsky.app/", "threads.net/", "wa.me/", "t.me/", "/@")
_EXTENSIONS: Final = ("0x", "0 x", ")x", ") x", "0ext", "0 ext", ")ext", ") ext")
_LONG_CHARACTERS: Final = 11  # the shortest key has so many


class Glance:
    """What a folded text is made of."""

    def __init__(self, folded: str) -> None:
        self.words = folded.split()
        self.text = " ".join(self.words)
        self.shape = self.text.translate(_DIGITS_AS_0)  # a7 is a0
        self.long = " ".join([word for word in self.words if len(word) >= _LONG_CHARACTERS])
        opened = [part.lstrip() for sign in "[({<" if sign in self.text for part in self.text.split(sign)[1:]]
        self.opened = opened  # what follows each bracket
        self.letters = set(self.text.translate(_LETTERS_ALONE).split())

    def has(self, *parts: str) -> bool:
        return any(part in self.text for part in parts)

    def has_word(self, words: frozenset[str]) -> bool:
        """Whether one of these words is in the text, between signs that are no letters."""
        return not self.letters.isdisjoint(words) or not self.text.isascii()

    def is_bracketed(self, *words: str) -> bool:
        """Whether one of these words follows a bracket, as in ada (at) example.com."""
        return any(part.startswith(words) for part in self.opened)


def _may_be_address(of: Glance) -> bool:
    if "@" in of.text or of.is_bracketed("at"):
        return True
    if "at" not in of.letters:
        return False
    before = [word for word, after in zip(of.words, of.words[1:], strict=False) if after == "at"]
    return "dot" in of.letters or any("." in word or "_" in word for word in before)


def _may_be_spelled(of: Glance) -> bool:
    if of.is_bracketed(*_ATS):
        return True
    if of.letters.isdisjoint(_AT_WORDS):
        return False
    if not of.letters.isdisjoint(_SIGNS):
        return True
    after = [word for at, word in zip(of.words, of.words[1:], strict=False) if at in _ATS]
    return any(word.startswith(_MAIL_HOSTS) for word in after)


def _may_be_key(of: Glance) -> bool:
    return any(key in of.long for key in _KEYS) or of.has("bearer ", "-----begin ")


def _may_be_id(of: Glance) -> bool:
    return bool(_ID_SHAPE.search(of.long))  # an id has no blanks


def _may_be_ip(of: Glance) -> bool:
    return ".0.0.0" in of.shape.replace("00", "0").replace("00", "0")


def _may_be_ipv6(of: Glance) -> bool:
    return any(" " not in part for part in of.text.split(":")[1:-1])


def _may_be_card(of: Glance) -> bool:
    return "0" * 13 in of.shape.replace(" ", "").replace("-", "")


def _may_be_account(of: Glance) -> bool:
    form = of.text.translate(_LETTERS_AS_A)
    place = form.find("aa00")
    while place > 0 and (form[place - 1] in "a0_"):
        place = form.find("aa00", place + 1)
    return place >= 0


def _may_be_old_day(of: Glance) -> bool:
    return "0000" in of.shape


def _may_be_street(of: Glance) -> bool:
    return "0" in of.shape and (of.has_word(_STREETS) or of.has(*_STREET_ENDS))


def _may_be_profile(of: Glance) -> bool:
    return "/" in of.text and of.has(*_PROFILES)


def _may_be_decimals(of: Glance) -> bool:
    return "0.0000" in of.shape


def _may_be_place(of: Glance) -> bool:
    return of.has("\xb0", "\xba") or ("0.00" in of.shape and of.has("lat", "lon", "lng"))


def may_be_phone(of: Glance) -> bool:
    digits = of.shape
    for sign in _BETWEEN_DIGITS:
        digits = digits.replace(sign, "")
    return "0" * _PHONE_DIGITS.start in digits or any(part in of.shape for part in _EXTENSIONS)


_DETECTORS: Final[
    tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool], Callable[[Glance], bool]], ...]
] = (
    ("an e-mail address", _ADDRESS, bool, _may_be_address),
    ("a key", _KEY, bool, _may_be_key),
    ("an id of a person or a browser", _ID, bool, _may_be_id),
    ("an IP address", _IP, bool, _may_be_ip),
    ("an e-mail address", _SPELLED, bool, _may_be_spelled),
    ("a card number", _CARD, _is_card, _may_be_card),
    ("an account number", _IBAN, _is_iban, _may_be_account),
    ("an IP address", _IPV6, _is_ipv6, _may_be_ipv6),
    ("a date of birth", _BORN, bool, lambda of: "0" in of.shape and of.has_word(_BIRTHS)),
    ("a date of birth", _DAY, _is_old, _may_be_old_day),
    ("a postal address", _STREET, bool, _may_be_street),
    ("somebody's profile", _PROFILE, bool, _may_be_profile),
    ("a place by its coordinates", _DECIMALS, _is_place, _may_be_decimals),
    ("a place by its coordinates", _PLACE, bool, _may_be_place),
)
