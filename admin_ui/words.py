"""The words for states that rooms keep as codes: orders, parcels, proofs, events, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _


@dataclass(frozen=True, slots=True)
class State:
    """A state in words with its meaning (good, warn, bad, or nothing) and a sign: never colour alone."""

    text: Lazy
    meaning: str = ""
    sign: str = "circle"


PAYMENT = {
    "pending": State(_("Payment pending"), "warn", "clock"),
    "authorized": State(_("Authorised"), "", "clock"),
    "partially_paid": State(_("Partly paid"), "warn", "circle-dot"),
    "paid": State(_("Paid"), "good", "check"),
    "partially_refunded": State(_("Partly refunded"), "", "undo-2"),
    "refunded": State(_("Refunded"), "", "undo-2"),
    "voided": State(_("Voided"), "", "ban"),
    "expired": State(_("Payment expired"), "bad", "clock-alert"),
    "failed": State(_("Payment failed"), "bad", "circle-x"),
}
FULFILMENT = {
    "unfulfilled": State(_("Not sent yet"), "warn", "package"),
    "partial": State(_("Partly sent"), "warn", "package-open"),
    "fulfilled": State(_("Sent"), "good", "package-check"),
    "restocked": State(_("Back in stock"), "", "undo-2"),
}
PARCEL = {
    "pending": State(_("Being prepared"), "", "package"),
    "in_transit": State(_("On its way"), "", "truck"),
    "out_for_delivery": State(_("Out for delivery"), "good", "truck"),
    "delivered": State(_("Delivered"), "good", "circle-check"),
    "failed": State(_("Delivery failed"), "bad", "triangle-alert"),
    "cancelled": State(_("Cancelled"), "", "ban"),
}
CANCELLED = State(_("Cancelled"), "bad", "ban")

STORE = {
    "connected": State(_("Connected"), "good", "circle-check"),
    "needs_reauth": State(_("Asks for your permission again"), "bad", "key-round"),
    "uninstalled": State(_("Disconnected"), "", "unplug"),
}

ROLES: Mapping[str, tuple[Lazy, Lazy]] = {
    "owner": (_("Owner"), _("Everything, also the workspace itself")),
    "admin": (_("Admin"), _("Everything but the workspace's settings")),
    "agent": (_("Agent"), _("Conversations and customers")),
    "light": (_("Light"), _("Reads along and writes notes, no replies")),
}

PROOFS: Mapping[str, Lazy] = {
    "platform": _("Confirmed by the store"),
    "one_time_code": _("Confirmed by a code"),
    "answered_mail": _("Confirmed by their e-mail"),
    "typed": _("Typed, not confirmed"),
    "from_header": _("From an e-mail, not confirmed"),
}

# Event kinds on a customer's timeline: icon and text; %(name)s is the order, %(who)s the actor.
TIMELINE: Mapping[str, tuple[str, Lazy]] = {
    "customer.created": ("user-plus", _("First seen")),
    "customer.merged": ("merge", _("Joined with another profile")),
    "customer.unmerged": ("split", _("Taken apart from another profile")),
    "order.placed": ("shopping-bag", _("Order %(name)s placed")),
    "order.updated": ("pencil", _("Order %(name)s changed")),
    "order.paid": ("circle-check", _("Order %(name)s paid")),
    "order.fulfilled": ("package-check", _("Order %(name)s sent")),
    "order.delivered": ("house", _("Order %(name)s delivered")),
    "order.cancelled": ("ban", _("Order %(name)s cancelled")),
    "order.refunded": ("undo-2", _("Refund for order %(name)s")),
    "order.deleted": ("trash-2", _("Order %(name)s deleted in the store")),
    "cart.updated": ("shopping-cart", _("Cart changed")),
    "checkout.started": ("credit-card", _("Checkout started")),
    "conversation.started": ("message-circle", _("Conversation started")),
    "conversation.assigned": ("user-check", _("Conversation assigned")),
    "conversation.closed": ("check", _("Conversation closed")),
    "conversation.reopened": ("rotate-ccw", _("Conversation opened again")),
    "message.received": ("message-circle", _("Wrote a message")),
    "message.sent": ("reply", _("Got an answer")),
    "note.added": ("lock", _("Note added")),
}

# What a health check can find: what it means, and what to do about it.
FINDINGS: Mapping[str, tuple[Lazy, Lazy]] = {
    "credentials": (_("Our access to the store"), _("Connect the store again; nothing is lost meanwhile.")),
    "scopes": (_("Rights that the store gave us"), _("Open the app in the store's admin and accept the missing rights.")),
    "webhooks": (_("News from the store"), _("We subscribe again by ourselves; check the store's webhook list if this "
                                             "stays.")),
    "https": (_("Secure address of the store"), _("Switch on https for the store; browsers and WooCommerce need it.")),
    "permalinks": (_("Readable addresses in WordPress"), _("In WordPress open Settings, Permalinks and choose anything "
                                                           "but Plain.")),
    "coming_soon": (_("The store is open to visitors"), _("In WooCommerce open Settings, Site visibility and choose "
                                                          "Live.")),
    "embed": (_("Chat on the storefront"), _("Switch the chat on in your theme editor under App embeds, then save.")),
    "history": (_("Older orders"), _("The platform shows orders older than 60 days only to apps it has allowed to see "
                                     "them. Newer ones are complete.")),
    "plugin": (_("Our WordPress plugin"), _("Install and switch on the plugin in WordPress, then pair it.")),
    "rights": (_("Rights of the connected user"), _("Connect again as a user who may manage the shop.")),
    "reachable": (_("The store answers"), _("Check that the store is online; we try again by ourselves.")),
}


def order_name(data: Mapping[str, Any]) -> str:
    """The order's number as people say it, left to right inside any text."""
    return f"\u2066{data.get('name') or data.get('order') or ''}\u2069"


def timeline_text(t: Translator, kind: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """Icon and sentence of an event; a kind without words shows itself rather than nothing."""
    sign, text = TIMELINE.get(kind, ("circle", Lazy(kind)))
    message = t.gettext(text)
    return sign, message % {"name": order_name(data)} if "%(name)s" in message else message
