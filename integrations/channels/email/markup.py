"""HTML of a mail: made harmless, and as plain text. Pure.

What is left is structure: no style, no class, no form, no script. Pictures from elsewhere would tell their owner who
read the mail, when and where: their address is set aside under `data-remote`. When an agent asks for them the server
fetches them, and the browser has them from us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape, unescape

import nh3

_TAGS = {
    "a", "b", "bdi", "blockquote", "br", "caption", "center", "code", "col", "colgroup", "dd", "del", "div", "dl",
    "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q",
    "s", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
    "u", "ul",
}  # fmt: skip
_BLOCKS = ("blockquote", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "ul", "table", "td", "th", "span")
_ATTRIBUTES = {
    **{tag: {"dir"} for tag in _BLOCKS},
    "a": {"href"},
    "img": {"alt", "src"},
    "td": {"colspan", "rowspan", "dir"},
    "th": {"colspan", "rowspan", "dir"},
}
_SILENT = {"script", "style", "head", "title", "noscript", "template", "iframe", "object", "svg", "math", "select"}
_MOST = 600_000
# As the sanitiser writes them: every value in double quotes, which it escapes within.
_PICTURE = re.compile(r'<img((?:\s+[a-z-]+="[^"]*")*)\s*/?>')
_PAIR = re.compile(r'([a-z-]+)="([^"]*)"')


def clean(html: str) -> tuple[str, int]:
    """The harmless form, and how many pictures of it lie elsewhere."""
    made: str = nh3.clean(
        html[:_MOST],
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags=_SILENT,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
    remote = 0

    def set_aside(found: re.Match[str]) -> str:
        nonlocal remote
        told: dict[str, str] = dict(_PAIR.findall(found[1]))
        source, alt = told.get("src", ""), told.get("alt", "")
        if source.startswith("cid:"):
            return f'<img data-cid="{source[4:]}" alt="{alt}">'
        if not source.startswith(("http://", "https://")):
            return alt
        remote += 1
        return f'<img data-remote="{source}" alt="{alt}">'

    return _PICTURE.sub(set_aside, made), remote


_ASIDE = re.compile(r'<img data-(cid|remote)="([^"]*)" alt="([^"]*)">')
MOST_PICTURES = 50
"""Of one mail; the others stay words. Each is a request of ours to wherever the sender likes."""


def elsewhere(html: str) -> list[str]:
    """The addresses of pictures that `clean` set aside, in their order."""
    return [unescape(source) for kind, source, _alt in _ASIDE.findall(html) if kind == "remote"][:MOST_PICTURES]


def show(html: str, inline: Mapping[str, str], remote: Sequence[str]) -> str:
    """What `clean` made, with the pictures that came along (`inline`: cid to address).

    Those elsewhere are shown from `remote`, an address of ours for each of `elsewhere`; where it is empty, by words.
    """
    ours = iter(remote)

    def put(found: re.Match[str]) -> str:
        kind, source, alt = found.groups()
        address = inline.get(unescape(source), "") if kind == "cid" else next(ours, "")
        if not address:
            return alt
        return f'<img src="{escape(address)}" alt="{alt}" loading="lazy" referrerpolicy="no-referrer">'

    return _ASIDE.sub(put, html)


_BREAK = re.compile(r"<(?:br|p|div|/p|/div|/li|/tr|/h[1-6]|/blockquote|hr)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_SPACE = re.compile(r"[ \t\xa0]+")
_BLANK = re.compile(r"\s+")
_DEEPEST = 20
"""Quotes within quotes that are told apart: marks of all of them would be far more than any mail."""


def as_text(html: str) -> str:
    """The words, a line for each block; what stands in quotes is marked with `>`."""
    safe = nh3.clean(html[:_MOST], tags=_TAGS, attributes={}, clean_content_tags=_SILENT, strip_comments=True)
    safe = _BLANK.sub(lambda blank: " " if "\n" in blank[0] else blank[0], safe)
    lines, depth = [], 0
    for piece in re.split(r"(</?blockquote>)", _BREAK.sub(lambda tag: f"{tag[0]}\n", safe)):
        if piece in ("<blockquote>", "</blockquote>"):
            depth = max(0, depth + (1 if piece == "<blockquote>" else -1))
            lines.append("\n")
            continue
        plain = unescape(_TAG.sub("", piece))
        mark = "> " * min(depth, _DEEPEST)
        lines.append("\n".join(mark + _SPACE.sub(" ", one).strip() for one in plain.split("\n")))
    return re.sub(r"\n(?:(?:> )*\n){2,}", "\n\n", "".join(lines)).strip()
