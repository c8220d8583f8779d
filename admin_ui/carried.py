"""What a message shows besides its words, and what the reader may do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from admin_ui import words
from admin_ui.desk import Desk
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.kernel.i18n import Translator
from plugin.kernel.money import Money
from plugin.team import Permission


@dataclass(frozen=True, slots=True)
class Card:
    """A product, an order or what is behind a link, in words. `picture` is the address of our own copy."""

    sign: str
    title: str
    details: Sequence[str]
    url: str = ""
    picture: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign on a message: how many put it there, and whether the reader did."""

    sign: str
    count: int
    mine: bool


@dataclass(frozen=True, slots=True)
class Carried:
    """Of one message. `path` is where everything that can be done to it is asked for."""

    path: str
    deleted: bool
    cards: Sequence[Card]
    answers: Sequence[str]
    signs: Sequence[Sign]
    may_edit: bool
    may_delete: bool
    may_sign: bool
    may_restore: bool
    changed: bool


def carried(desk: Desk, talk: Conversation, message: Message, shown: Mapping[str, Any]) -> Carried:
    """Of a message as its reader may see it; `shown` is its JSON with links."""
    gone = message.deleted_at is not None
    own = message.agent_id == desk.agent.id
    may = desk.agent.may(Permission.NOTE if message.kind == messages.NOTE else Permission.REPLY)
    team = desk.agent.may(Permission.MANAGE_TEAM) and message.author != messages.SHOPPER
    cards = [card_of(desk.t, one) for one in shown.get("cards", ())]
    if "link" in shown:
        cards.append(_link(shown["link"]))
    signs: Mapping[str, list[str]] = message.data.get("signs", {})
    return Carried(
        path=desk.url(f"conversations/{talk.id}/messages/{message.id}"),
        deleted=gone,
        cards=cards,
        answers=[one["text"] for one in message.data.get("replies", ())],
        signs=[Sign(sign, len(who), desk.actor in who) for sign, who in signs.items()],
        may_edit=own and may and not gone,
        may_delete=(own or team) and may and not gone,
        may_sign=message.kind == messages.MESSAGE and not gone and desk.agent.may(Permission.REPLY),
        may_restore=gone and may and (own or team),
        changed=gone or message.edited_at is not None,
    )


def card_of(t: Translator, card: Mapping[str, Any], picture: str = "") -> Card:
    """A card of `plugin.conversations.cards` in words; `picture` where it has no copy of ours yet."""
    price = ""
    if "price" in card:
        price = t.format_money(Money(card["price"]["amount"], card["price"]["currency"], card["price"]["exponent"]))
    shown = card.get("picture", {}).get("thumbnail", picture)
    reference = f"{card['kind']}:{card.get('id', '')}"
    if card["kind"] in ("article", "door"):
        return Card("book-open" if card["kind"] == "article" else "package", card["title"], [], card["url"], shown)
    if card["kind"] == "order":
        state = words.CARD_STATES.get(card["state"])
        details = [part for part in (t.gettext(state) if state else "", price) if part]
        return Card("package", words.order_name(card["title"]), details, card["url"], shown, reference)
    details = [t.gettext("From %(price)s", price=price) if card.get("from") else price] if price else []
    return Card("shopping-bag", card["title"], details, card["url"], shown, reference)


def _link(link: Mapping[str, Any]) -> Card:
    details = [part for part in (link["site"], link["description"]) if part]
    return Card("link", link["title"], details, link["url"], link.get("picture", {}).get("thumbnail", ""))
