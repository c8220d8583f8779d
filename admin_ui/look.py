"""Small things that templates need: initials, colours of avatars, sizes, the words of panel.js, the navigation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup, escape

from admin_ui import order_links, words
from admin_ui.keys import KEYS
from plugin.conversations import mentions
from plugin.conversations.wording import SNIPPET
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate, language_of
from plugin.kernel.web import Web, script_json
from plugin.team import Permission

HERE = Path(__file__).parent
_ROOT = HERE.parent
_HUES = 8

# Links; phone numbers that start with +; order, parcel and voucher codes. The last two fall apart inside Arabic and
# Hebrew when they are not isolated: a number after Arabic letters takes the sign before it to its other side. The
# widget's text.js reads them alike. A code begins where its word begins: looked for at each of its letters, a long word
# of capitals would keep the process busy for its square.
_RUN = re.compile(
    r"""(https?://[^\s<>"'«»]+)|(\+\d[\d\s\u00a0-]{5,}\d)|((?:\#|\b)[A-Z\d]+(?:-[A-Z\d]+)+|\#\d+)""", re.ASCII
)
# A number is read in one piece; what is longer must be able to break.
_SHORT = 24
_SENTENCE_ENDS = ".,;:!?؟،؛…"


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation."""

    path: str
    label: Lazy
    icon: str
    permission: Permission


PLACES = (
    Place("", _("Home"), "house", Permission.READ),
    Place("inbox", _("Inbox"), "inbox", Permission.READ),
    Place("visitors", _("Visitors"), "scan-eye", Permission.READ),
    Place("customers", _("Customers"), "users-round", Permission.READ),
    Place("returns", _("Returns"), "undo-2", Permission.READ),
    Place("help", _("Help centre"), "book-open", Permission.READ),
    Place("reports", _("Reports"), "chart-column", Permission.READ),
    Place("stores", _("Stores"), "store", Permission.READ),
    Place("team", _("Team"), "id-card-lanyard", Permission.READ),
    Place("settings", _("Settings"), "settings", Permission.READ),
)


def furnish(web: Web) -> None:
    """Give the shared template environment what the panel's templates need, and the panel's static files."""
    web.assets.add_folder("panel", HERE / "static")
    dist = _ROOT / "node_modules" / "htmx.org" / "dist"
    web.assets.add_file("htmx/htmx.min.js", dist / "htmx.min.js")
    web.assets.add_file("htmx/hx-sse.min.js", dist / "ext" / "hx-sse.min.js")
    web.environment.globals.update(
        hue=hue,
        initials=initials,
        iso=iso,
        file_size=file_size,
        panel_words=panel_words,
        navigation=navigation,
        isolate=isolate,
        typed=typed,
        calling=mentions.parts,
        script_of=language_of,
        filled_words=filled_words,
        missing_words=missing_words,
        keys=KEYS,
        statuses=words.STATUSES,
        ranks=words.PRIORITIES,
        priorities=dict(words.PRIORITIES.values()),
    )


def navigation(may: Callable[[str], bool]) -> list[Place]:
    """The places this agent may go."""
    return [place for place in PLACES if may(place.permission)]


def hue(key: object) -> int:
    """A colour of the palette that stays with its person."""
    return hashlib.blake2s(str(key).encode(), digest_size=1).digest()[0] % _HUES


def initials(name: str) -> str:
    """One or two letters for an avatar. One for Arabic: its letters join and two of them would read as a word."""
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()]
    if not words:
        return "·"
    first = words[0][0].upper()
    if len(words) == 1 or "\u0600" <= first <= "\u06ff":
        return first
    return first + words[-1][0].upper()


def iso(moment: datetime) -> str:
    """A moment for `<time datetime>`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def typed(text: str, *, links: bool = True, orders: Mapping[str, tuple[str, str]] | None = None) -> Markup:
    """What a person typed, with its left-to-right runs isolated and, unless `links` is False, its addresses linked.

    `orders`: numbers that are linked to their order (see order_links.py).
    """
    known = orders or {}
    parts: list[Markup] = []
    done = 0
    for found in _RUN.finditer(text):
        run = _address(found[0]) if found[1] else found[0]
        parts.append(_numbered(text[done : found.start()], known))
        if found[3] and order_links.key_of(run) in known:
            parts.append(_numbered(run, known))
        elif found[1] and links:
            parts.append(_LINK.format(run, run))
        else:
            parts.append((_WHOLE if len(run) <= _SHORT else _ISOLATED).format(run))
        done = found.start() + len(run)
    parts.append(_numbered(text[done:], known))
    return Markup("").join(parts)


def _numbered(text: str, orders: Mapping[str, tuple[str, str]]) -> Markup:
    return Markup("").join(
        escape(piece) if link is None else _ORDER.format(*link, piece)
        for piece, link in order_links.pieces(text, orders)
    )


_ORDER = Markup('<a class="order-link whole" href="{}" data-sheet="{}" dir="ltr">{}</a>')
_LINK = Markup('<a href="{}" target="_blank" rel="noopener noreferrer nofollow" dir="ltr">{}</a>')
_ISOLATED = Markup('<bdi dir="ltr">{}</bdi>')
_WHOLE = Markup('<bdi dir="ltr" class="whole">{}</bdi>')


def _address(text: str) -> str:
    """Where the address really ends: the full stop of the sentence and an unopened bracket are not part of it."""
    text = text.rstrip(_SENTENCE_ENDS)
    return text[:-1] if text.endswith(")") and "(" not in text else text


def file_size(t: Translator, size: int) -> str:
    """Bytes in words."""
    if size < 1024 * 1024:
        return t.gettext("%(size)s KB", size=t.format_number(max(1, round(size / 1024))))
    return t.gettext("%(size)s MB", size=t.format_number(round(size / 1024 / 1024, 1)))


def filled_words(t: Translator) -> Markup:
    """What can be filled into a text, by its name in it, as JSON for a data attribute."""
    named = {name.value: t.gettext(text) for name, text in words.FILLED.items()}
    named[SNIPPET] = words.filled(t, f"{SNIPPET}{{name}}")
    return script_json(named).replace("'", "\\u0027")


def missing_words(t: Translator, names: Sequence[str]) -> str:
    """What could not be filled into a text, as a list in a sentence."""
    return t.listing([words.filled(t, name) for name in names])


def panel_words(t: Translator) -> Markup:
    """The few texts that panel.js says by itself, as JSON for a data attribute."""
    _ = t.gettext
    words = {
        "offline": _("No connection. What you write is kept and can be sent again."),
        "failed": _("That did not work. Nothing was lost."),
        "dismiss": _("Dismiss"),
        "copied": _("Copied"),
        "remove": _("Remove"),
        "uploading": _("Uploading…"),
        "request": _("Request number:"),
        "allowed": _("Allowed. The store is being asked what else there is to read."),
        "declined": _("Nothing was changed. It can be allowed at any time."),
        "taken_back": _("Taken back. What was read already stays."),
        "not_asked": _("Shopify did not open its question, so nothing was changed. Try again in a moment."),
        "undo": _("Undo"),
        "chosen": _("Chosen: %(count)s"),
        "not_here": _("This cannot be done here."),
    }
    return script_json(words).replace("'", "\\u0027")
