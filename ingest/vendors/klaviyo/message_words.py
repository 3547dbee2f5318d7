r"""Takes the words out of e-mails: `raw_klaviyo.flow_message_words`, beside the raw HTML of the templates.

    {"text": "Hi {{ first_name }},\n[To the shop](link-01)",
     "parts": [{"part": "{{ first_name }}"}, {"part": "link-01"}],
     "links": [{"name": "link-01", "address": "https://…"}]}

Links are numbered, so that the addresses, which may contain tracking ids, stay in the warehouse. `parts` are
the variables, tags and links that a rewrite must keep. Personal data in the text, such as the address of the
shop's support, is masked. The words of an unchanged template are not taken again.
"""

import html
import json
import re
from html.parser import HTMLParser
from typing import Final

import duckdb

from privacy import outside

_VARIABLE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)  # of Klaviyo's template language
_PLACEHOLDER: Final = re.compile(r"⟦(\d+)⟧")  # for a variable: it may contain signs of HTML
_UNSEEN: Final = frozenset({"head", "script", "style", "title"})
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "em", "font", "i", "img", "small", "span", "strong", "sub", "sup", "u"}
)
LINE_CHARACTERS: Final = 2_000
TAKEN: Final = 1
"""Raised when words are taken in another way: all of them are then taken again."""
PART_CHARACTERS: Final = 200  # of a variable; longer ones are code, which no text must keep word for word


class _Words(HTMLParser):
    """Collects the words of HTML, with a line per block and its links in Markdown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.links: list[str] = []
        self._unseen = 0
        self._opened: list[str] = []  # what closes each open link

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        about = dict(attrs)
        if tag == "a":
            address = (about.get("href") or "").strip()
            is_link = address and not address.startswith(("mailto:", "tel:", "#"))
            if is_link and address not in self.links:
                self.links.append(address)
            self.words.append("[" if is_link else "")
            self._opened.append(f"](link-{self.links.index(address) + 1:02d})" if is_link else "")
        elif tag == "img" and (about.get("alt") or "").strip():
            self.words.append(f"({about['alt']})")
        elif tag not in _INLINE:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag == "a" and self._opened:
            self.words.append(self._opened.pop())
        elif tag not in _INLINE:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        self.words.append("" if self._unseen else re.sub(r"\s+", " ", data))


def words(source: str) -> str:
    """Return the words of an e-mail, the parts of it that a rewrite must keep, and its links, as JSON."""
    variables: list[str] = []

    def placeholder(found: re.Match[str]) -> str:
        variables.append(" ".join(html.unescape(found[0]).split()))
        return f"⟦{len(variables) - 1}⟧"

    parser = _Words()
    parser.feed(_VARIABLE.sub(placeholder, source))
    parser.close()

    def restored(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: variables[int(found[1])], text)

    lines = (outside.words(line, LINE_CHARACTERS) for line in "".join(parser.words).splitlines())
    text = restored("\n".join(filter(None, lines)))
    named = {f"link-{place:02d}": restored(link) for place, link in enumerate(parser.links, start=1)}
    parts = [
        part for part in dict.fromkeys((*variables, *named)) if part in text and len(part) <= PART_CHARACTERS
    ]
    return json.dumps(
        {
            "text": text,
            "parts": [{"part": part} for part in parts],
            "links": [{"name": name, "address": address} for name, address in named.items()],
        },
        ensure_ascii=False,
    )


def take(connection: duckdb.DuckDBPyConnection) -> None:
    """Update `raw_klaviyo.flow_message_words` from the templates that were loaded."""
    connection.execute(
        """
        create table if not exists raw_klaviyo.flow_message_words (
            flow_message_id text, words json, taken_from text
        )
        """
    )
    source = "coalesce(nullif(trim(html), ''), nullif(trim(text), ''))"
    connection.execute(
        f"""
        delete from raw_klaviyo.flow_message_words as known where not exists (
            select 1 from raw_klaviyo.flow_message_templates as templates
            where templates.flow_message_id = known.flow_message_id
                and concat(?, ' ', md5({source})) = known.taken_from
        )
        """,
        [str(TAKEN)],
    )
    untaken = connection.execute(
        f"""
        select flow_message_id, {source}, concat(?, ' ', md5({source}))
        from raw_klaviyo.flow_message_templates
        where {source} is not null
            and flow_message_id not in (select flow_message_id from raw_klaviyo.flow_message_words)
        order by all
        """,
        [str(TAKEN)],
    ).fetchall()
    if rows := [(message_id, words(template), taken_from) for message_id, template, taken_from in untaken]:
        connection.executemany("insert into raw_klaviyo.flow_message_words values (?, ?, ?)", rows)
