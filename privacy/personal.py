"""Recognize personal data in a text, in any spelling and encoding: addresses, numbers, ids, dates.

A text is searched as it reads (folded: accents, width, invisible signs, look-alike letters) and again with
its encodings undone. docs/decisions/firewall.md describes names, and the data that cannot be recognized.
"""

import base64
import binascii
import html
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv6Address
from typing import Final

import phonenumbers
from stdnum import iban, luhn

from privacy import pseudonyms

# Domains with these endings are recognized even with blanks: "example . com" is not the end of a sentence.
_TOP: Final = r"(?:com|net|org|edu|gov|info|biz|io|de|uk|fr|nl|es|eu|ch|ca|au|jp|br|pl|se|dk|fi|example)"
_OUTSIDE: Final = r"[^\s@\"'<>(),;:]+"
_PERSONAL: Final[Mapping[str, re.Pattern[str]]] = {
    "an e-mail address": re.compile(
        rf"(?<![^\s@\"'<>(),;:]){_OUTSIDE}[\s\"',]*@[\s\"',]*(?:{_OUTSIDE}\.\w{{2,}}|[\w-]+(?:\s*\.\s*[\w-]+)*?\s*\.\s*{_TOP}\b)"
        # Spelled: ada at example dot com, ada (at) example.com, ada.lovelace at example.com
        rf"|(?<![\w.+-])[\w.+-]+(?:\s+at\s+|\s*@\s*)[\w-]+(?:\s+dot\s+[\w-]+)*?\s+dot\s+{_TOP}\b"
        r"|(?<![\w.+-])[\w.+-]+\s*[\[({<]\s*at\s*[\])}>]\s*[\w-]+\s*(?:\.|[\[({<]?\s*dot\s*[\])}>]?)\s*\w{2,}"
        rf"|\b\w+[._]\w+\s+at\s+[\w-]+\.{_TOP}\b"
        # Truncated by the limit of a text: ada@exam
        rf"|{_OUTSIDE}@[\w.-]*(?:\.\.\.)?\Z"
    ),
    # Vendors' own forms: SG.…, pk_…, mvra_live_…, sk-…, bearer tokens; and those of common services.
    "a key": re.compile(
        r"\b(?:sg\.|pk_|sk[_-]|rk_|mvra_|xox[a-z]-|akia|aiza|gh[opsu]_|glpat-|eyj[\w-]{8,}\.)[\w.-]{8,}"
        r"|\bbearer\s+[\w.-]{16,}|-----begin "
    ),
    # Cookie ids of Wistia (40 hexadecimal digits; a time with a tail), UUIDs, ULIDs of Klaviyo profiles.
    "an id of a person or a browser": re.compile(
        r"(?<![0-9a-z])(?:[0-9a-f]{16,}\b|\d{9,}[a-f][0-9a-f]*\.\d+|\d{9,}_[0-9a-z-]{4,}"
        r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-z])|01[0-9a-hjkmnp-tv-z]{24}(?![0-9a-z]))"
    ),
    "an IP address": re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"),
}
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
_ENCODED: Final = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{12,}={0,2}")
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
_OLD_YEARS: Final = 10  # an older full date counts as a date of birth


def looks_personal(text: str) -> str:
    """Return the kind of personal data in a text, or an empty string."""
    return next(filter(None, (_looks(pseudonyms.folded(reading)) for reading in readings(text))), "")


def readings(text: str) -> Iterator[str]:
    """Yield a text unchanged, then with its encodings undone, then its decoded base64."""
    yield text
    plain = text
    for _ in range(DEEPEST):
        before, plain = plain, _undone(plain)
        if plain == before:
            break
        yield plain
    for found in _ENCODED.findall(plain):
        # A slash is a character of base64, but also separates the parts of a link.
        for part in {found, *_ENCODED.findall(found.replace("/", " "))}:
            try:
                packed = part.rstrip("=").replace("-", "+").replace("_", "/")
                unpacked = base64.b64decode(packed + "=" * (-len(packed) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            yield unpacked
            yield _undone(unpacked)


def _undone(text: str) -> str:
    return html.unescape(urllib.parse.unquote(_ESCAPED.sub(_unescaped, text)))


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2] or found[3], 16))


def _looks(folded: str) -> str:
    folded = " ".join(folded.split())
    return next((what for what, _ in _found(folded)), "")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of personal data in a folded text."""
    return (span for _, span in _found(text))


def _found(folded: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the kind and place of personal data in a folded text."""
    for what, pattern in _PERSONAL.items():
        yield from ((what, found.span()) for found in pattern.finditer(folded))
    for what, pattern, is_one in _CHECKED:
        yield from ((what, found.span()) for found in pattern.finditer(folded) if is_one(found))
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


_CHECKED: Final[tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...]] = (
    ("an e-mail address", _SPELLED, bool),
    ("a card number", _CARD, _is_card),
    ("an account number", _IBAN, _is_iban),
    ("an IP address", _IPV6, _is_ipv6),
    ("a date of birth", _BORN, bool),
    ("a date of birth", _DAY, _is_old),
    ("a postal address", _STREET, bool),
    ("somebody's profile", _PROFILE, bool),
    ("a place by its coordinates", _DECIMALS, _is_place),
    ("a place by its coordinates", _PLACE, bool),
)
