"""Numbers of a customer's own orders, found in what was written and linked to the order.

Only orders of whoever the conversation is with, or that it is tied to: a number that somebody else's order has stays a
number, so that nobody is led to a stranger's order by what a shopper wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from admin_ui.desk import Desk
from plugin.conversations import ties
from plugin.conversations.conversations import Conversation
from plugin.crm import identities
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.text import search_key

_DIGITS = "0-9٠-٩۰-۹"
# A number of three digits and more, or of any length behind a #; with letters before it as stores name their orders.
# Not a part of a price, a time, a longer number or a word in Latin letters; Hebrew and Arabic letters do touch numbers.
NUMBER = re.compile(
    rf"(?<![A-Za-z{_DIGITS}_.,:/#٫٬])(?<![{_DIGITS}]-)"
    rf"(?:#(?:[A-Za-z]{{1,8}}-?)?[{_DIGITS}]{{1,12}}|(?:[A-Za-z]{{1,8}}-?)?[{_DIGITS}]{{3,12}})"
    rf"(?![A-Za-z{_DIGITS}_]|[.,:/٫٬-][{_DIGITS}])"
)
# As many as one page of messages can ask about.
_MOST = 200


def key_of(number: str) -> str:
    """What two spellings of an order's number have in common: ١٠٤٢, #1042 and 1042 are one. Pure."""
    return search_key(number)


def numbers(texts: Iterable[str]) -> set[str]:
    """What in these texts may be an order's number, by its key. Pure."""
    return {key_of(found[0]) for text in texts for found in NUMBER.finditer(text)}


def pieces(text: str, links: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """`text` in pieces; a number in `links` (by key: the address of the order, of its sheet) comes with it. Pure."""
    done = 0
    for found in NUMBER.finditer(text) if links else ():
        link = links.get(key_of(found[0]))
        if link is not None:
            yield text[done : found.start()], None
            yield found[0], link
            done = found.end()
    yield text[done:], None


async def of_talk(tx: Tx, desk: Desk, talk: Conversation, texts: Iterable[str]) -> Mapping[str, tuple[str, str]]:
    """The links of the orders that are named in these texts: those of the customer, and those the talk is tied to."""
    asked = numbers(texts)
    if not asked or len(asked) > _MOST:
        return {}
    members = await identities.family(tx, talk.customer_id) if talk.customer_id is not None else []
    tied = [order.id for order in await ties.orders(tx, talk.id)]
    if not members and not tied:
        return {}
    whose: list[Any] = [Order.customer_id.in_(members)] if members else []
    whose += [Order.id.in_(tied)] if tied else []
    rows = await tx.execute(
        select(Order.id, Order.name)
        .where(
            Order.workspace_id == tx.workspace_id,
            # Any number of an order is the digits of its name.
            Order.number.in_({"".join(filter(str.isdigit, key)) for key in asked}),
            Order.deleted_at.is_(None),
            or_(*whose),
        )
        .order_by(Order.placed_at)
    )
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        link = address(desk, row.id, talk.id)
        name = key_of(row.name)
        # The latest of two stores' orders with one number; the bare digits stand for a name with letters too.
        found |= {name: link, "".join(filter(str.isdigit, name)): link}
    return {key: link for key, link in found.items() if key in asked}


def address(desk: Desk, order_id: UUID, talk_id: UUID | None = None) -> tuple[str, str]:
    """The page of an order, and the sheet that shows it above what is open."""
    about = {"conversation": talk_id} if talk_id is not None else {}
    return desk.url(f"orders/{order_id}"), desk.url(f"orders/{order_id}/sheet", **about)
