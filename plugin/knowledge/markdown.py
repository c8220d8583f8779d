"""Markdown of articles: as harmless HTML, as plain words, and out of somebody else's HTML. Pure.

What a merchant writes is shown on their storefront's own address, so the HTML that a text may contain is never passed
on as it is: Markdown is rendered with HTML switched off, and the result goes through the sanitiser all the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import nh3
from markdown_it import MarkdownIt

from plugin.kernel.text import harmless

_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h2", "h3", "h4", "hr", "img", "li", "ol", "p", "pre", "s", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}
_DIRECTED = re.compile(r"<(p|li|h2|h3|h4|blockquote|td|th)>")
_HEADING = re.compile(r"(</?h)([1-6])>")

MOST_BARS = 4_000
"""Strokes between cells up to which tables are drawn. Each cell is a text of its own to the parser: 60 kB of nothing
else took it three seconds. Beyond, the strokes are shown as they were written."""
_LONG = 4_000

_plain = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("strikethrough")
_markdown = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])


async def rendered(text: str) -> str:
    """`render`, for an edge: a long text is worked on beside the event loop."""
    return render(text) if len(text) <= _LONG else await asyncio.to_thread(render, text)


def render(text: str) -> str:
    """Markdown as HTML that is safe on a page of the shop. The title is the page's h1: headings begin at h2.

    Each block takes the direction of its own first letter, so that an English product name does not turn an Arabic
    list around.
    """
    parser = _markdown if text.count("|") <= MOST_BARS else _plain
    made = _HEADING.sub(lambda found: f"{found[1]}{min(4, max(2, int(found[2])))}>", parser.render(harmless(text)))
    clean: str = nh3.clean(
        made,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener nofollow",
        strip_comments=True,
    )
    clean = clean.replace("<img ", '<img loading="lazy" ')
    return _DIRECTED.sub(r'<\1 dir="auto">', clean)


_TAG = re.compile(r"<[^<>]*>")
_BLOCK_END = re.compile(r"</(?:p|li|h[1-6]|tr|blockquote|pre)>|<br\s*/?>|<hr\s*/?>")


def plain(text: str) -> str:
    """The words of a Markdown text, one block a line."""
    return words_of((_markdown if text.count("|") <= MOST_BARS else _plain).render(text))


def words_of(html: str) -> str:
    """The words of HTML that `render` made."""
    lines = unescape(_TAG.sub("", _BLOCK_END.sub("\n", html))).split("\n")
    return "\n".join(line for line in (" ".join(one.split()) for one in lines) if line)


def summary(text: str, length: int = 160) -> str:
    """The first words of a Markdown text in one line, for lists and search engines."""
    line = " ".join(plain(text).split())
    if len(line) <= length:
        return line
    cut = line.rfind(" ", 0, length)
    return f"{line[: cut if cut > length // 2 else length].rstrip(' .,;:،؛')}…"


# Out of HTML

_SILENT = {"script", "style", "head", "noscript", "template", "iframe", "object", "svg", "math", "select", "nav",
           "form", "button"}  # fmt: skip
_FROM = {
    "a", "b", "blockquote", "br", "code", "dd", "del", "div", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "i", "img", "li", "ol", "p", "pre", "section", "strong", "td", "th", "tr", "ul",
}  # fmt: skip
_MOST = 400_000
_SPECIAL = re.compile(r"([\\`*_\[\]<>])")
_LINE_START = re.compile(r"^(\s*)(#{1,6}\s|[-+>]\s|\d{1,9}[.)]\s)")


def from_html(html: str, base: str = "") -> str:
    """Somebody else's HTML as Markdown: paragraphs, headings, lists, links, pictures. `base` completes its links."""
    safe = nh3.clean(
        html[:_MOST],
        tags=_FROM,
        attributes={"a": {"href"}, "img": {"src", "alt"}},
        clean_content_tags=_SILENT,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel=None,
        strip_comments=True,
    )
    writer = _Writer(base)
    writer.feed(safe)
    writer.close()
    return writer.text()


class _Writer(HTMLParser):
    """Writes Markdown while it reads what the sanitiser left."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._blocks: list[str] = []
        self._line: list[str] = []
        self._lists: list[tuple[str, int]] = []
        self._lead = ""
        self._links: list[str] = []

    def text(self) -> str:
        self._end()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._blocks)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        inline: dict[str, Callable[[], None]] = {
            "br": lambda: self._line.append("  \n"),
            "strong": lambda: self._line.append("**"),
            "b": lambda: self._line.append("**"),
            "em": lambda: self._line.append("*"),
            "i": lambda: self._line.append("*"),
            "code": lambda: self._line.append("`"),
            "a": lambda: self._open_link(given.get("href", "")),
            "img": lambda: self._picture(given),
        }
        if tag in inline:
            inline[tag]()
            return
        self._end()
        if tag in ("ul", "ol"):
            self._lists.append((tag, 0))
        elif tag == "li":
            self._item()
        elif tag == "blockquote":
            self._lead = "> "
        elif tag == "hr":
            self._blocks.append("\n---\n")
        elif re.fullmatch(r"h[1-6]", tag):
            self._lead = "#" * min(4, max(2, int(tag[1]))) + " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("strong", "b"):
            self._line.append("**")
        elif tag in ("em", "i"):
            self._line.append("*")
        elif tag == "code":
            self._line.append("`")
        elif tag == "a":
            href = self._links.pop() if self._links else ""
            self._line.append(f"]({href})" if href else "")
        elif tag in ("ul", "ol"):
            self._end()
            if self._lists:
                self._lists.pop()
            if not self._lists:
                self._blocks.append("")
        elif tag not in ("br", "img", "hr"):
            self._end()

    def handle_data(self, data: str) -> None:
        if data.strip() or self._line:
            self._line.append(_SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", data)))

    def _item(self) -> None:
        if not self._lists:
            self._lists.append(("ul", 0))
        kind, count = self._lists[-1]
        self._lists[-1] = (kind, count + 1)
        mark = "- " if kind == "ul" else f"{count + 1}. "
        self._lead = "   " * (len(self._lists) - 1) + mark

    def _open_link(self, href: str) -> None:
        # Where no address is said, an address relative to nothing leads nowhere: the words stay.
        whole = urljoin(self._base, href) if self._base and href else href
        good = urlsplit(whole).scheme in ("http", "https", "mailto", "tel")
        self._links.append(whole.replace(" ", "%20").replace(")", "%29") if good else "")
        if good:
            self._line.append("[")

    def _picture(self, given: dict[str, str]) -> None:
        source = urljoin(self._base, given.get("src", ""))
        if urlsplit(source).scheme in ("http", "https"):
            alt = _SPECIAL.sub(r"\\\1", given.get("alt", ""))
            self._line.append(f"![{alt}]({source.replace(' ', '%20').replace(')', '%29')})")

    def _end(self) -> None:
        said = "".join(self._line).strip()
        self._line = []
        # Marks that nothing stands between would be shown as they are.
        said = re.sub(r"\*\*\s*\*\*|`\s*`", "", said)
        lead, self._lead = self._lead, ""
        if not said:
            self._lead = lead if lead.strip() not in ("", ">") else ""
            return
        if not lead:
            said = _LINE_START.sub(lambda found: f"{found[1]}\\{found[2]}", said)
        if lead and self._lists:
            self._blocks.append(lead + said)
        else:
            self._blocks += ["", lead + said, ""]


def escaped(text: str) -> str:
    """Plain words as Markdown that shows them as they are."""
    lines = [_LINE_START.sub(lambda found: f"{found[1]}\\{found[2]}", _SPECIAL.sub(r"\\\1", one)) for one in
             text.splitlines()]  # fmt: skip
    return "\n".join(lines)
