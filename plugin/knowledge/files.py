"""Questions and answers out of other people's pages and files: FAQ pages, Markdown, HTML, CSV. Pure.

Every reader takes bytes that a stranger may have made: sizes are capped before anything is read, nothing is executed,
and HTML goes through the sanitiser before it is looked at.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import nh3
import orjson

from plugin.kernel.text import harmless, language_of, search_key
from plugin.knowledge import markdown, rules

MOST = 500
"""Articles that are taken out of one page or file."""
LONGEST = 60_000
LONGEST_TITLE = 200
MAX_BYTES = 5 * 1024 * 1024
UNREAD = "unread"
"""The way of a draft that is none: a file that could not be read; without a title, all that was too much."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An article as it was found. `key` tells it apart within its source; `way` is how it was recognised."""

    title: str
    body: str
    key: str
    way: str
    language: str = ""
    collection: str = ""


class Unreadable(Exception):
    """Not what it says it is: no text, or no table."""


def read_page(content: bytes, *, charset: str = "", url: str = "") -> list[Draft]:
    """An HTML page: its structured data first, then what folds out, definition lists, headings with what follows."""
    html = decoded(content, charset or _declared(content))
    said = _said_language(html)
    return [replace(one, language=_spoken(one.language, said)) for one in _of_page(html, url)]


def _of_page(html: str, url: str) -> list[Draft]:
    found = list(_structured(html, url))
    if found:
        return kept(found)
    tree = _tree(html)
    for way, pairs in (("details", _details(tree)), ("accordion", _accordions(tree)), ("list", _definitions(tree))):
        drafts = _drafts(pairs, way, url)
        if len(drafts) >= 2 or (drafts and way == "details"):
            return kept(drafts)
    return kept(_drafts(_headings(tree), "headings", url))


def _drafts(pairs: Iterator[tuple[str, str]], way: str, url: str) -> list[Draft]:
    """What was found, until it is more than a page holds: parts that stand in each other are written many times."""
    drafts: list[Draft] = []
    left = 2 * MAX_BYTES
    for title, answer in pairs:
        drafts.append(_draft(title, answer, way, url))
        left -= len(title) + len(answer)
        if left < 0 or len(drafts) >= 4 * MOST:
            break
    return drafts


def read_markdown(content: bytes, name: str) -> list[Draft]:
    """A Markdown file: an article for each heading of its highest level that occurs more than once, else one."""
    text = decoded(content)
    levels = [len(found[1]) for found in _MD_HEADING.finditer(text)]
    level = next((one for one in sorted(set(levels)) if levels.count(one) > 1), 0)
    if not level:
        first = _MD_HEADING.search(text)
        title = _heading(first[2]) if first else re.sub(r"[_-]+", " ", name.rsplit(".", 1)[0])
        body = text[first.end() :] if first and not text[: first.start()].strip() else text
        return kept([made(title, body, "file")])
    parts = re.split(rf"(?m)^#{{{level}}}[ \t]+(.+)$", text)
    pairs = zip(parts[1::2], parts[2::2], strict=False)
    return kept([made(_heading(title), body, "headings") for title, body in pairs])


def _heading(line: str) -> str:
    """A heading without what may close it. Not by a pattern: those take hours for a line of blanks."""
    return line.rstrip(" \t").rstrip("#").rstrip(" \t") or line


def read_written(html: str, name: str) -> list[Draft]:
    """A document that became HTML: an article for each heading where there are several, else one."""
    tree = _tree(html)
    drafts = _drafts(_headings(tree), "headings", "")
    if len(drafts) >= 2:
        return kept(drafts)
    first = next(_nodes(tree, *_HEADINGS), None)
    title = first.text() if first is not None else re.sub(r"[_-]+", " ", name.rsplit(".", 1)[0])
    body = _written([one for one in tree.children if one is not first])
    return kept([_draft(title, body, "file", "")])


def read_writings(items: Sequence[Mapping[str, str]]) -> list[Draft]:
    """Pages, posts and policies of a shop as its platform has them: one article each, told apart by kind and id."""
    return kept(
        [
            made(
                one["title"], markdown.from_html(one["html"], one["url"]), one["kind"],
                key=f"{one['kind']}:{one['id']}", language=one["language"], collection=one["collection"],
            )
            for one in items
        ]
    )  # fmt: skip


def read_csv(content: bytes) -> list[Draft]:
    """A table with a column for the question and one for the answer, under any of the usual names."""
    text = decoded(content)
    sample = text[:20_000]
    delimiter = max(",;\t", key=lambda sign: sample.partition("\n")[0].count(sign))
    drafts = []
    try:
        for row in csv.DictReader(io.StringIO(text), delimiter=delimiter):
            said = {_column(name): (value or "") for name, value in row.items() if isinstance(name, str)}
            if not said.get("title", "").strip():
                continue
            body = said.get("body", "")
            body = markdown.from_html(body) if re.search(r"<(p|br|div|ul|ol|a|strong|b)\b", body) else body
            drafts.append(
                made(
                    said["title"], body, "table", key=said.get("id", ""), language=said.get("language", ""),
                    collection=said.get("collection", ""),
                )
            )  # fmt: skip
            if len(drafts) >= MOST:
                break
    except csv.Error as error:
        raise Unreadable from error
    return kept(drafts)


_COLUMNS: Mapping[str, Sequence[str]] = {
    "title": ("title", "question", "subject", "name", "السؤال", "سؤال", "العنوان", "שאלה", "כותרת"),
    "body": ("body", "answer", "content", "text", "reply", "الجواب", "الإجابة", "المحتوى", "תשובה", "תוכן"),
    "language": ("language", "locale", "lang", "اللغة", "שפה"),
    "collection": ("collection", "category", "section", "topic", "القسم", "التصنيف", "קטגוריה", "נושא"),
    "id": ("id", "key", "external_id"),
}


def _column(name: str) -> str:
    key = search_key(name)
    return next((ours for ours, theirs in _COLUMNS.items() if key in map(search_key, theirs)), key)


def decoded(content: bytes, charset: str = "") -> str:
    """Bytes as text. Raises Unreadable for what is no text."""
    if len(content) > MAX_BYTES:
        raise Unreadable
    for name in (charset, "utf-8-sig", "windows-1256" if not charset else "utf-8"):
        # Names of hosts, not of pages: reading five megabytes of it takes a quarter of an hour.
        if not name or name.lower() in ("punycode", "idna"):
            continue
        with suppress(UnicodeError, LookupError):
            text = content.decode(name)
            if "\x00" in text:
                raise Unreadable
            return harmless(text)
    raise Unreadable


_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([\w-]{3,20})""", re.IGNORECASE)


def _declared(content: bytes) -> str:
    found = _CHARSET.search(content[:4096])
    return found[1].decode() if found else ""


_LANGUAGE = re.compile(r"""<html(?=\s)[^<>]{0,1000}?\slang\s{0,9}=\s{0,9}["']?([a-z]{2,3})(?![a-z])""", re.IGNORECASE)
_ARABIC_LETTERS = {"ar", "ckb", "fa", "ps", "sd", "ug", "ur"}
_HEBREW_LETTERS = {"he", "yi"}


def _said_language(html: str) -> str:
    """What a page says of itself (https://html.spec.whatwg.org/multipage/dom.html#attr-lang); empty: nothing."""
    found = _LANGUAGE.search(html[:20_000])
    code = found[1].lower() if found else ""
    return {"iw": "he", "ji": "yi"}.get(code, code)


def _spoken(letters: str, said: str) -> str:
    """The language of a text by its letters, and by what its page says where that goes with them: letters know French
    from English as little as themes that were never translated know what is written in them."""
    if not said or not letters:
        return said or letters
    if letters == "ar":
        return said if said in _ARABIC_LETTERS else letters
    if letters == "he":
        return said if said in _HEBREW_LETTERS else letters
    return letters if said in _ARABIC_LETTERS | _HEBREW_LETTERS else said


_MD_HEADING = re.compile(r"(?m)^(#{1,4})[ \t]+(.+)$")


def made(title: str, body: str, way: str, *, key: str = "", language: str = "", collection: str = "") -> Draft:
    """A draft of what was found, cut to what an article holds; its language by its letters where none is said."""
    title = " ".join(unescape(title).split())[:LONGEST_TITLE]
    body = body.strip()[:LONGEST]
    spoken = language.strip().lower().replace("_", "-").partition("-")[0] or language_of(f"{title} {body[:500]}") or ""
    return Draft(title, body, key.strip()[:100] or rules.slug(title), way, spoken, " ".join(collection.split())[:80])


def _draft(title: str, answer: str, way: str, url: str) -> Draft:
    return made(title, markdown.from_html(answer, url), way)


def kept(drafts: Sequence[Draft]) -> list[Draft]:
    """Those that say something, each once in each language."""
    seen: dict[tuple[str, str], Draft] = {}
    for one in drafts:
        if one.title and one.body and search_key(one.title):
            seen.setdefault((one.language, one.key), one)
        if len(seen) >= MOST:
            break
    return list(seen.values())


# Structured data (https://schema.org/FAQPage)

# Beginnings and ends apart: a search that looks for the end from every beginning takes hours where there is none.
_JSON_LD = re.compile(
    r"""<script[^<>]{0,300}type\s{0,9}=\s{0,9}["']?application/ld\+json["']?[^<>]{0,300}>""", re.IGNORECASE
)
_JSON_END = re.compile("</script", re.IGNORECASE)


def _structured(html: str, url: str) -> Iterator[Draft]:
    at = 0
    while (begins := _JSON_LD.search(html, at)) and (ends := _JSON_END.search(html, begins.end())):
        with suppress(orjson.JSONDecodeError):
            yield from _questions(orjson.loads(html[begins.end() : ends.start()].strip()), url, 0)
        at = ends.end()


def _questions(data: Any, url: str, depth: int) -> Iterator[Draft]:
    if depth > 6:
        return
    if isinstance(data, list):
        for one in data[: 4 * MOST]:
            yield from _questions(one, url, depth + 1)
        return
    if not isinstance(data, dict):
        return
    kinds = data.get("@type")
    if "Question" in (kinds if isinstance(kinds, list) else [kinds]):
        answer = data.get("acceptedAnswer") or data.get("suggestedAnswer")
        answer = answer[0] if isinstance(answer, list) and answer else answer
        said = answer.get("text") if isinstance(answer, dict) else None
        name = data.get("name") or data.get("text")
        if isinstance(name, str) and isinstance(said, str):
            html = said if "<" in said else "".join(f"<p>{line}</p>" for line in said.split("\n"))
            yield _draft(re.sub(r"<[^<>]*>", "", name), html, "faq", url)
        return
    for key in ("mainEntity", "@graph", "hasPart"):
        if key in data:
            yield from _questions(data[key], url, depth + 1)


# The page itself


@dataclass(slots=True)
class _Node:
    tag: str
    attributes: dict[str, str]
    children: list[_Node | str] = field(default_factory=list)

    def text(self) -> str:
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for one in _walk(self):
            if isinstance(one, str):
                yield one
            else:
                yield " "

    def html(self) -> str:
        return _written(self.children)


_KEPT_TAGS = {
    "a", "article", "b", "blockquote", "br", "button", "code", "dd", "details", "div", "dl", "dt", "em", "h1", "h2",
    "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "main", "ol", "p", "pre", "section", "span", "strong", "summary",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_GONE = {"script", "style", "head", "noscript", "template", "iframe", "object", "svg", "math", "select", "nav",
         "footer", "header", "aside", "form"}  # fmt: skip
_VOID = {"br", "hr", "img"}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


class _Builder(HTMLParser):
    """A tree of what the sanitiser wrote: every element closed, none crossed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Node("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = _Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        # Nobody nests an answer this deep; what does is flattened.
        if tag not in _VOID and len(self._open) < 200:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if len(self._open) > 1 and self._open[-1].tag == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def _tree(html: str) -> _Node:
    builder = _Builder()
    builder.feed(
        nh3.clean(
            html,
            tags=_KEPT_TAGS,
            generic_attribute_prefixes=None,
            attributes={"*": {"id", "aria-controls"}, "a": {"href"}, "img": {"src", "alt"}},
            clean_content_tags=_GONE,
            url_schemes={"http", "https", "mailto", "tel"},
            link_rel=None,
        )
    )
    builder.close()
    return builder.root


def _walk(node: _Node) -> Iterator[_Node | str]:
    """All below a node in order, without recursion."""
    stack: list[_Node | str] = list(reversed(node.children))
    while stack:
        one = stack.pop()
        yield one
        if isinstance(one, _Node):
            stack.extend(reversed(one.children))


def _nodes(node: _Node, *tags: str) -> Iterator[_Node]:
    return (one for one in _walk(node) if isinstance(one, _Node) and (not tags or one.tag in tags))


def _outermost(node: _Node, *tags: str) -> Iterator[_Node]:
    """Those of these tags that stand in none of them."""
    stack: list[_Node | str] = list(reversed(node.children))
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            continue
        if one.tag in tags:
            yield one
        else:
            stack.extend(reversed(one.children))


def keyed(draft: Draft, key: str) -> Draft:
    """The same draft, told apart by another key."""
    return replace(draft, key=key[-100:])


def unread(name: str = "") -> Draft:
    """What could not be read, for the report."""
    return Draft(harmless(name)[:LONGEST_TITLE], "", "", UNREAD)


def escaped(text: str) -> str:
    """Text for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _written(children: Sequence[_Node | str]) -> str:
    parts = []
    for one in children:
        if isinstance(one, str):
            parts.append(escaped(one))
            continue
        given = "".join(
            f' {name}="{escaped(value).replace(chr(34), "&quot;")}"' for name, value in one.attributes.items()
        )
        parts.append(f"<{one.tag}{given}>")
        if one.tag not in _VOID:
            parts += [_written(one.children), f"</{one.tag}>"]
    return "".join(parts)


def _details(tree: _Node) -> Iterator[tuple[str, str]]:
    for node in _nodes(tree, "details"):
        head = next((one for one in node.children if isinstance(one, _Node) and one.tag == "summary"), None)
        if head is not None:
            yield head.text(), _written([one for one in node.children if one is not head])


def _accordions(tree: _Node) -> Iterator[tuple[str, str]]:
    """A button that says which part of the page it opens (https://www.w3.org/WAI/ARIA/apg/patterns/accordion/)."""
    by_id = {node.attributes["id"]: node for node in _nodes(tree) if node.attributes.get("id")}
    for node in _nodes(tree):
        panel = by_id.get(node.attributes.get("aria-controls", ""))
        if panel is not None and node.tag in ("button", "a", "div", "summary", "span", *_HEADINGS):
            yield node.text(), panel.html()


def _definitions(tree: _Node) -> Iterator[tuple[str, str]]:
    for node in _outermost(tree, "dl"):
        asked, answer = "", ""
        for one in _outermost(node, "dt", "dd"):
            if one.tag == "dt":
                if asked and answer:
                    yield asked, answer
                asked, answer = one.text(), ""
            else:
                answer += one.html()
        if asked and answer:
            yield asked, answer


def _headings(tree: _Node) -> Iterator[tuple[str, str]]:
    """Each heading of the level that has most of them, with all up to the next one as high."""
    flat = list(_blocks(tree))
    levels = [int(one.tag[1]) for one in flat if one.tag in _HEADINGS]
    if not levels:
        return
    asked = [int(one.tag[1]) for one in flat if one.tag in _HEADINGS and one.text().endswith(("?", "؟"))]
    level = max(set(asked or levels), key=lambda one: ((asked or levels).count(one), -one))
    title, answer = "", ""
    for one in flat:
        if one.tag in _HEADINGS and int(one.tag[1]) <= level:
            if title and answer:
                yield title, answer
            title, answer = (one.text() if int(one.tag[1]) == level else ""), ""
        elif title:
            answer += _written([one])
    if title and answer:
        yield title, answer


_BLOCKS = ("p", "ul", "ol", "blockquote", "pre", "table", "dl", *_HEADINGS)


def _blocks(node: _Node) -> Iterator[_Node]:
    """Blocks of text in the page's order, whatever they stand in."""
    for one in node.children:
        if isinstance(one, str):
            if one.strip():
                yield _Node("p", {}, [one])
        elif one.tag in _BLOCKS:
            yield one
        else:
            yield from _blocks(one)
