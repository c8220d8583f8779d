"""What frame.html needs besides the store's own configuration: its modules, its icons and the panel's version."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson

from plugin.kernel.i18n import Catalogues
from plugin.widget.shorten import shortened
from plugin.widget.strings import page_strings

STATIC = Path(__file__).parent / "static"

#: Lucide icons that the panel's modules copy from templates in the page.
ICONS = (
    "arrow-down",
    "arrow-left",
    "book-open",
    "bot",
    "check",
    "check-check",
    "chevron-right",
    "circle-alert",
    "clock",
    "file-text",
    "mail",
    "message-circle",
    "package",
    "paperclip",
    "rotate-cw",
    "send-horizontal",
    "shopping-bag",
    "smile",
    "smile-plus",
    "star",
    "x",
)


def loader(following: str = "") -> bytes:
    """The loader as storefronts get it. Every page of a shop pays for its bytes; the limit is 4 KB compressed.

    `following`: what `data-visits` would say, where the one who asks is known (`visits.Following`).
    """
    written = (STATIC / "loader.js").read_text()
    if following:
        written = written.replace("set.visits", orjson.dumps(following if following != "off" else "").decode())
    return shortened(written).encode()


def modules() -> list[str]:
    """The panel's ES modules, for preloading: without it the browser would find them one import after the other."""
    return sorted(path.name for path in (STATIC / "panel").glob("*.js"))


def version() -> str:
    """A digest of the whole panel. Modules import each other by relative address, so they share one version."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def page_loader(catalogues: Catalogues) -> bytes:
    """The script of a page of orders, likewise shortened, with what it says before its frame is there."""
    words = {one.code: page_strings(catalogues.translator(one.code).gettext) for one in catalogues.languages}
    return shortened((STATIC / "page.js").read_text()).encode().replace(b'"WORDS"', orjson.dumps(words))
