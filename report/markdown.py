"""Markdown of others, as HTML that can do nothing: none of their HTML, no images, links only to https."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token

DEEPEST_HEADING: Final = 6
BELOW: Final = 4  # levels: the headings of an answer are below those of its card


def html(text: str) -> str:
    """Return a Markdown text as safe HTML."""
    rendered: str = _PARSER.render(text)
    return rendered


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.validateLink = lambda url: url.startswith("https://")  # type: ignore[method-assign]
    for rule, render in (
        ("heading_open", _heading),
        ("heading_close", _heading),
        ("image", _words_of_image),
        ("link_open", _link),
        ("table_open", lambda *_: '<div class="table" tabindex="0"><table>'),
        ("table_close", lambda *_: "</table></div>"),
    ):
        parser.add_render_rule(rule, render)
    return parser


def _heading(_: Any, tokens: Sequence[Token], place: int, *_rest: Any) -> str:
    token = tokens[place]
    level = min(DEEPEST_HEADING, int(token.tag[1:]) + BELOW)
    return f"<h{level}>" if token.nesting == 1 else f"</h{level}>\n"


def _words_of_image(_: Any, tokens: Sequence[Token], place: int, *_rest: Any) -> str:
    """Return the text that an image has for those who cannot see it; loading it would be a request."""
    return escapeHtml(tokens[place].content)


def _link(_: Any, tokens: Sequence[Token], place: int, *_rest: Any) -> str:
    attributes: Mapping[str, Any] = tokens[place].attrs
    return f'<a href="{escapeHtml(str(attributes.get("href", "")))}" rel="noopener noreferrer nofollow">'


_PARSER: Final = _parser()
