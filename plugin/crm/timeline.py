"""One timeline of a person: what happened in every store and channel, told in the reader's language."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from plugin.crm import identities
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import isolate


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. `kind` and `data` are the event's; `history`: before the store was connected."""

    id: UUID
    kind: str
    at: datetime
    subject_id: UUID
    store_id: UUID | None
    customer_id: UUID
    actor: str
    data: Mapping[str, Any]

    @property
    def history(self) -> bool:
        """Whether it was told to us afterwards, as part of the store's past."""
        return bool(self.data.get("history"))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of entries, the latest first; `cursor` asks for older ones, None at the end."""

    events: Sequence[Entry]
    cursor: str | None


async def page(tx: Tx, customer_id: UUID, before: str | None = None, limit: int = 50) -> Page:
    """What happened to a person, all their rows together. Messages are not on it: they are in the conversations.

    Of the many changes of one cart only the last is told. Raises NotFound, and AhlanError on a cursor not ours.
    """
    parameters: dict[str, Any] = {
        "workspace": tx.workspace_id,
        "members": await identities.family(tx, customer_id),
        "kinds": list(KINDS),
        "limit": limit + 1,
    }
    older = ""
    if before:
        parameters["at"], parameters["id"] = _read_cursor(before)
        older = "AND (e.at, e.id) < (:at, :id)"
    rows = (await tx.execute(text(_PAGE.format(older=older)), parameters)).all()
    entries = [
        Entry(
            id=row.id, kind=row.kind, at=row.at, subject_id=row.subject_id, store_id=row.store_id,
            customer_id=row.customer_id, actor=row.actor, data=orjson.loads(row.data),
        )
        for row in rows[:limit]
    ]  # fmt: skip
    return Page(entries, _cursor(entries[-1]) if len(rows) > limit else None)


_PAGE = """
SELECT e.id, e.kind, e.at, e.subject_id, e.store_id, e.customer_id, e.actor, CAST(e.data AS text) AS data
FROM events e
WHERE e.workspace_id = :workspace AND e.customer_id = ANY(CAST(:members AS uuid[]))
    AND e.kind = ANY(CAST(:kinds AS text[])) {older}
    AND NOT (e.kind = 'cart.updated' AND EXISTS (SELECT 1 FROM events l WHERE l.workspace_id = :workspace
        AND l.subject_id = e.subject_id AND l.kind = 'cart.updated' AND (l.at, l.id) > (e.at, e.id)))
ORDER BY e.at DESC, e.id DESC LIMIT :limit
"""


def _cursor(entry: Entry) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([entry.at, str(entry.id)])).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, id = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at), UUID(id)
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise AhlanError(_("This page of the timeline does not exist."), code="cursor") from error


# Words


def words(entry: Entry, t: Translator) -> str:
    """The entry as a sentence in the reader's language. Pure."""
    return _SENTENCES[entry.kind](entry.data, t)


Sentence = Callable[[Mapping[str, Any], Translator], str]


def _plain(message: str) -> Sentence:
    return lambda data, t: t.gettext(message)


def _rated(data: Mapping[str, Any], t: Translator) -> str:
    return t.gettext("Rated the conversation %(score)s of 5", score=t.format_number(int(data["score"])))


def _order(message: str) -> Sentence:
    return lambda data, t: t.gettext(message, order=_name(data))


def _order_with_amount(message: str, amount: str) -> Sentence:
    return lambda data, t: t.gettext(message, order=_name(data), amount=_amount(data, amount, t))


def _name(data: Mapping[str, Any]) -> str:
    """Order names are digits and Latin letters in any language: kept together, left to right."""
    return isolate(str(data.get("order", "")), "ltr")


def _amount(data: Mapping[str, Any], name: str, t: Translator) -> str:
    amount = data.get(name)
    if amount is None or not data.get("currency"):
        return "–"
    return t.format_money(Money(int(amount), data["currency"], int(data.get("exponent", 2))))


def _shipped(data: Mapping[str, Any], t: Translator) -> str:
    carrier, tracking = data.get("carrier"), data.get("tracking")
    if carrier and tracking:
        return t.gettext(
            "Order %(order)s shipped with %(carrier)s, tracking number %(tracking)s",
            order=_name(data), carrier=isolate(carrier), tracking=isolate(tracking, "ltr"),
        )  # fmt: skip
    if tracking:
        return t.gettext(
            "Order %(order)s shipped, tracking number %(tracking)s",
            order=_name(data), tracking=isolate(tracking, "ltr"),
        )  # fmt: skip
    return t.gettext("Order %(order)s shipped", order=_name(data))


def _updated(data: Mapping[str, Any], t: Translator) -> str:
    names = {
        "status": t.pgettext("order", "status"),
        "payment": t.pgettext("order", "payment"),
        "fulfilment": t.pgettext("order", "shipping status"),
        "total": t.pgettext("order", "total"),
        "address": t.pgettext("order", "delivery address"),
    }
    changes = t.listing([names[change] for change in data.get("changes", ()) if change in names])
    return t.gettext("Order %(order)s changed: %(changes)s", order=_name(data), changes=changes)


def _acted(data: Mapping[str, Any], t: Translator) -> str:
    """What an agent, or the shopper, did to an order, with its amount where money moved."""
    nobody = t.gettext("The customer") if data.get("shopper") else t.gettext("Somebody of the team")
    nobody = t.gettext("The bot") if data.get("bot") else nobody
    values = {"order": _name(data), "who": isolate(str(data.get("by") or nobody))}
    if data.get("amount") is not None and data.get("action") in ("refund", "cancel", "change"):
        values["amount"] = _amount(data, "amount", t)
        if data["action"] == "refund":
            return t.gettext("%(who)s gave back %(amount)s of order %(order)s", **values)
        if data["action"] == "change":
            return t.gettext("%(who)s changed the goods of order %(order)s; %(amount)s went back", **values)
        if data.get("shopper"):
            return t.gettext("%(who)s cancelled order %(order)s; %(amount)s went back", **values)
        return t.gettext("%(who)s cancelled order %(order)s and gave back %(amount)s", **values)
    message = _ACTED.get(str(data.get("action")))
    return t.gettext(message, **values) if message else t.gettext("%(who)s changed order %(order)s", **values)


_ACTED: Mapping[str, str] = {
    "cancel": _("%(who)s cancelled order %(order)s"),
    "address": _("%(who)s changed where order %(order)s goes"),
    "note": _("%(who)s wrote a note on order %(order)s"),
    "tags": _("%(who)s changed the tags of order %(order)s"),
    "discount": _("%(who)s made a discount code for order %(order)s"),
    "end_discount": _("%(who)s ended a discount code of order %(order)s"),
    "duplicate": _("%(who)s drafted the goods of order %(order)s once more"),
    "change": _("%(who)s changed the goods of order %(order)s"),
}


def _cart(data: Mapping[str, Any], t: Translator) -> str:
    return t.ngettext("%(num)s item in the cart", "%(num)s items in the cart", int(data.get("items", 0)))


def _checkout(data: Mapping[str, Any], t: Translator) -> str:
    return t.ngettext(
        "Started to check out with %(num)s item",
        "Started to check out with %(num)s items",
        int(data.get("items", 0)),
    )


def _merged(data: Mapping[str, Any], t: Translator) -> str:
    reasons = {
        "email": t.gettext("Joined with another record of the same e-mail address"),
        "phone": t.gettext("Joined with another record of the same phone number"),
        "platform": t.gettext("Joined with another account by the store"),
    }
    return reasons.get(str(data.get("reason")), t.gettext("Joined with another customer by the team"))


def _proved(data: Mapping[str, Any], t: Translator) -> str:
    called = data.get("way") == "call"
    said = _("Confirmed by phone that order %(order)s is theirs") if called else _PROVED
    return _order(said)(data, t)


_PROVED = _("Proved with a code that order %(order)s is theirs")

_SENTENCES: Mapping[str, Sentence] = {
    "customer.created": _plain(_("Became a customer")),
    "customer.deleted": _plain(_("The account was deleted in the store")),
    "customer.merged": _merged,
    "customer.unmerged": _plain(_("Separated from another customer")),
    "visitor.identified": _plain(_("Signed in on the storefront")),
    "order.placed": _order_with_amount(_("Placed order %(order)s for %(amount)s"), "total"),
    "order.paid": _order(_("Order %(order)s paid")),
    "order.fulfilled": _shipped,
    "order.delivered": _order(_("Order %(order)s delivered")),
    "order.cancelled": _order(_("Order %(order)s cancelled")),
    "order.refunded": _order_with_amount(_("Refund of %(amount)s for order %(order)s"), "amount"),
    "order.updated": _updated,
    "order.proved": _proved,
    "order.unproved": _order(_("Order %(order)s was closed again to whoever was called")),
    "order.acted": _acted,
    "order.act_failed": _order(_("The store refused a change to order %(order)s")),
    "order.act_unsure": _order(_("The store did not say what became of a change to order %(order)s")),
    "order.deleted": _order(_("Order %(order)s deleted in the store")),
    "return.requested": _order(_("Return of order %(order)s requested")),
    "return.approved": _order(_("Return of order %(order)s approved")),
    "return.declined": _order(_("Return of order %(order)s declined")),
    "return.cancelled": _order(_("Return of order %(order)s cancelled")),
    "return.closed": _order(_("Return of order %(order)s completed")),
    "return_request.requested": _order(_("Asked to return goods of order %(order)s")),
    "return_request.approved": _order(_("Return of order %(order)s was agreed to")),
    "return_request.declined": _order(_("Return of order %(order)s was refused")),
    "return_request.received": _order(_("Goods of order %(order)s came back")),
    "return_request.paid": _order_with_amount(_("%(amount)s given for a return of order %(order)s"), "amount"),
    "return_request.cancelled": _order(_("Return of order %(order)s was called off")),
    "cart.updated": _cart,
    "checkout.started": _checkout,
    "conversation.started": _plain(_("Started a conversation")),
    "conversation.assigned": _plain(_("The conversation was assigned")),
    "conversation.resolved": _plain(_("The conversation was resolved")),
    "conversation.reopened": _plain(_("The conversation was reopened")),
    "conversation.rated": _rated,
    "conversation.transcript_asked": _plain(_("Asked for a copy of the conversation")),
    "note.added": _plain(_("The team added a note")),
}
KINDS = frozenset(_SENTENCES)
"""Of the events that a timeline tells."""
