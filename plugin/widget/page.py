"""What frame.html needs besides the store's own configuration: its modules, its icons and the panel's version."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"

#: Lucide icons that the panel's modules copy from templates in the page.
ICONS = (
    "arrow-down",
    "arrow-left",
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


def loader() -> bytes:
    """The loader as storefronts get it: without the lines of comment and the indentation that are for its readers.

    Every page of a storefront pays for its bytes; the limit is 4 KB compressed.
    """
    written = (STATIC / "loader.js").read_text()
    return re.sub(r"^[ \t]*(//.*\n|\n)?", "", written, flags=re.MULTILINE).encode()


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


def page_loader() -> bytes:
    """The script of a page of orders, likewise without what is for its readers."""
    written = (STATIC / "page.js").read_text()
    return re.sub(r"^[ \t]*(//.*\n|\n)?", "", written, flags=re.MULTILINE).encode()
