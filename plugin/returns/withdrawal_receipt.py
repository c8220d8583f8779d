"""The receipt of a withdrawal and the other letters about it, as text and as HTML. Pure.

The receipt says what was declared, and when it came (Directive 2011/83/EU, article 11a(4)); it says nothing about any
order, so that it tells a stranger nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Protocol

from plugin.kernel.i18n import Translator
from plugin.kernel.text import isolate
from plugin.returns import withdrawal_rules
from plugin.returns.withdrawal_rules import Rules


class Shop(Protocol):
    """Who is written to."""

    name: str
    url: str
    email: str


class Statement(Protocol):
    """What was declared."""

    @property
    def name(self) -> str: ...
    @property
    def contract(self) -> str: ...
    @property
    def goods(self) -> str: ...
    @property
    def email(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it is sent and kept."""

    subject: str
    text: str


def stamp(words: Translator, at: datetime) -> str:
    """A moment, to the second, in the shop's time and in UTC, which needs no explaining anywhere."""
    utc = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{words.format_datetime(at, 'medium')} ({words.zone}) · {isolate(utc, 'ltr')}"


def letter(
    words: Translator, shop: Shop, rules: Rules, said: Statement, reference: str, at: datetime, language: str
) -> Letter:
    """The receipt. `language` is the page's, whose official words stood on the button."""
    told = [
        words.gettext("%(shop)s has received your withdrawal from the contract.", shop=isolate(shop.name)),
        f"{words.gettext('Received on')}: {stamp(words, at)}",
        f"{words.gettext('Number of this receipt')}: {isolate(reference, 'ltr')}",
        words.gettext("This is what you declared:"),
        "\n".join(
            f"{name}: {isolate(value)}"
            for name, value in (
                (words.gettext("Name"), said.name),
                (words.gettext("Order or contract"), said.contract),
                (words.gettext("What of it"), said.goods or words.gettext("everything")),
                (words.gettext("Confirmed to"), said.email),
                (words.gettext("Sent with the button"), withdrawal_rules.label(language)[1]),
            )
        ),
        words.gettext(
            "Keep this e-mail: it proves what you declared and when. The shop writes to you about how it goes on."
        ),
    ]
    # A shop writes in the languages of its panel; English says more than nothing.
    if own := (rules.words.get(words.locale) or rules.words.get("en") or "").strip():
        told.append(own)
    told.append(
        words.gettext(
            "If it was not you who declared this, answer this e-mail; nothing has to be done otherwise.",
        )
    )
    subject = words.gettext("Receipt of your withdrawal %(reference)s, %(shop)s", reference=reference, shop=shop.name)
    return Letter(subject, "\n\n".join([*told, "-- ", "\n".join(filter(None, (shop.name, shop.url)))]) + "\n")


def refusal(words: Translator, shop: Shop, reference: str, note: str) -> Letter:
    """What somebody of the team decided, in their own words."""
    subject = words.gettext("Your withdrawal %(reference)s, %(shop)s", reference=reference, shop=shop.name)
    told = [
        words.gettext("The shop has looked at your withdrawal %(reference)s:", reference=isolate(reference, "ltr")),
        note,
        words.gettext("If you see it otherwise, answer this e-mail."),
        "-- ",
        "\n".join(filter(None, (shop.name, shop.url))),
    ]
    return Letter(subject, "\n\n".join(told) + "\n")


def as_html(words: Translator, letter: Letter) -> str:
    """The same words for mail programs that show HTML."""
    start = "right" if words.direction == "rtl" else "left"
    side = f'lang="{words.locale}" dir="{words.direction}"'
    parts = "".join(
        f'<p style="margin:0 0 14px;white-space:pre-wrap">{escape(part)}</p>'
        for part in letter.text.strip().split("\n\n")
        if part != "-- "
    )
    return (
        f'<!doctype html><html {side}><head><meta charset="utf-8"></head>'
        f'<body style="margin:24px"><div {side} style="max-width:600px;font:16px/1.6 system-ui,sans-serif;'
        f'color:#1c2424;text-align:{start}">{parts}</div></body></html>'
    )
