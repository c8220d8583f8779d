"""The words for states that rooms keep as codes: orders, parcels, proofs, events, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plugin.conversations.conversations import Priority, Status
from plugin.conversations.wording import SNIPPET, Name
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.platform import ACCESS_DENIED, PlatformError


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
    "unfulfilled": State(_("Not shipped yet"), "warn", "package"),
    "partial": State(_("Partly shipped"), "warn", "package-open"),
    "fulfilled": State(_("Shipped"), "good", "package-check"),
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
RETURN = {
    "requested": State(_("Return requested"), "warn", "undo-2"),
    "open": State(_("Return approved"), "", "undo-2"),
    "declined": State(_("Return declined"), "", "ban"),
    "cancelled": State(_("Return cancelled"), "", "ban"),
    "closed": State(_("Return completed"), "good", "circle-check"),
}
CANCELLED = State(_("Cancelled"), "bad", "ban")

STORE = {
    "connected": State(_("Connected to Ahlan"), "good", "circle-check"),
    "needs_reauth": State(_("Asks for your permission again"), "bad", "key-round"),
    "uninstalled": State(_("Disconnected"), "", "unplug"),
}

ROLES: Mapping[str, tuple[Lazy, Lazy]] = {
    "owner": (_("Owner"), _("Everything, also the workspace itself")),
    "admin": (_("Admin"), _("Everything but money, owners and the rules for signing in")),
    "agent": (_("Agent"), _("Conversations and customers")),
    "light": (_("Light"), _("Reads along and writes notes, no replies")),
}

TYPED = _("Typed, not confirmed")
PROOFS: Mapping[str, Lazy] = {
    "platform": _("Confirmed by the store"),
    "one_time_code": _("Confirmed by a code"),
    "answered_mail": _("Confirmed by their e-mail"),
    "typed": TYPED,
    "from_header": _("From an e-mail, not confirmed"),
}

# Icons of a customer's timeline; the sentences are the timeline's own.
SIGNS: Mapping[str, str] = {
    "customer.created": "user-plus",
    "customer.deleted": "user-x",
    "customer.merged": "merge",
    "customer.unmerged": "split",
    "visitor.identified": "log-in",
    "order.placed": "shopping-bag",
    "order.paid": "circle-check",
    "order.fulfilled": "truck",
    "order.delivered": "package-check",
    "order.cancelled": "ban",
    "order.refunded": "undo-2",
    "order.updated": "pencil",
    "order.proved": "key-round",
    "order.unproved": "lock",
    "order.acted": "hand-coins",
    "order.act_failed": "circle-x",
    "order.act_unsure": "triangle-alert",
    "order.deleted": "trash-2",
    "return.requested": "undo-2",
    "return.approved": "undo-2",
    "return.declined": "ban",
    "return.cancelled": "ban",
    "return.closed": "circle-check",
    "return_request.requested": "undo-2",
    "return_request.approved": "check",
    "return_request.declined": "ban",
    "return_request.received": "package",
    "return_request.paid": "hand-coins",
    "return_request.cancelled": "ban",
    "cart.updated": "shopping-cart",
    "checkout.started": "credit-card",
    "conversation.started": "message-circle",
    "conversation.assigned": "user-check",
    "conversation.resolved": "check",
    "conversation.reopened": "rotate-ccw",
    "conversation.rated": "star",
    "conversation.transcript_asked": "mail",
    "note.added": "lock",
}

# How the chat gets onto a storefront, per platform; the last resort is the widget's own script tag.
EMBEDDING: Mapping[str, Sequence[Lazy]] = {
    "shopify": (
        _("In Shopify admin open Online Store, Themes, Customize."),
        _("Choose App embeds and switch on Ahlan."),
        _("Save, then open the shop once."),
    ),
    "woocommerce": (
        _("In WordPress install the Ahlan plugin."),
        _("Switch it on, open Ahlan there and press Connect."),
        _("Open the shop once."),
    ),
}

# Where the launcher's colour and side are chosen: where it is switched on, since it is drawn before we are asked.
LOOKS: Mapping[str, Lazy] = {
    "shopify": _("Its colour and the side of the page are chosen in the theme editor, under App embeds."),
    "woocommerce": _("Its colour and the side of the page are chosen in WordPress, in the Ahlan plugin."),
}

# Permissions that the merchant may give or not, by what is found while one is missing: its name, and what it brings.
PERMISSIONS: Mapping[str, tuple[Lazy, Lazy]] = {
    "history_limited": (
        _("Orders older than 60 days"),
        _("With it the whole history of a customer stands beside the conversation. Newer orders are there anyway."),
    ),
    "merges_unseen": (
        _("Customers merged in the store"),
        _("With it the orders and conversations of two customers come together here when the store merges them."),
    ),
    "orders_untouched": (
        _("Refund, cancel and change orders"),
        _("With it this is done beside the conversation, each agent within their own limit."),
    ),
    "drafts_untouched": (
        _("Draft orders"),
        _("With it the goods of an order can be sent again, or paid by a link."),
    ),
    "discounts_untouched": (
        _("Discount codes"),
        _("With it an agent makes a code for one customer, good once."),
    ),
    "goods_untouched": (
        _("Goods of an order"),
        _("With it a size or a number is changed in an order that was not sent, by an agent or by the shopper."),
    ),
    "returns_untouched": (
        _("Returns in the store"),
        _("With it returns are opened, decided and paid in the store itself, where its own staff see them too."),
    ),
    "shelves_unseen": (
        _("Locations of the stock"),
        _("With it returned goods go back to the stock of the place that they were sent from."),
    ),
    "credit_ungiven": (
        _("Give store credit"),
        _("With it a customer who takes store credit for a return can get a bonus on top."),
    ),
    "credit_unseen": (
        _("See store credit"),
        _("With it we make sure that a bonus was given once and not twice."),
    ),
    "navigation_untouched": (
        _("Short address of the returns page"),
        _("With it /returns of your shop leads to the page of orders and returns."),
    ),
    "pages_unread": (
        _("Pages and blog posts"),
        _("With it they are brought into the help centre, and updated there when you ask for it."),
    ),
    "policies_unread": (
        _("The shop's policies"),
        _("With it delivery, returns and the other policies are brought into the help centre."),
    ),
    "deliveries_unread": (
        _("Delivery zones and rates"),
        _("With it the bot says what delivery to a place costs, as your checkout does."),
    ),
    "titles_untranslated": (
        _("Translations of your products"),
        _("With it the bot knows your goods by their names in the shopper's language, and shows them so."),
    ),
}


def order_name(name: str) -> str:
    """The order's number as people say it, left to right inside any text."""
    return isolate(name, "ltr")


# What a card in the chat says of its order; the platform's other words say nothing to a shopper.
CARD_STATES: Mapping[str, Lazy] = {
    "unfulfilled": _("Not shipped yet"),
    "partial": _("Partly shipped"),
    "fulfilled": _("Shipped"),
    "cancelled": _("Cancelled"),
}

STATUSES: dict[Status, tuple[str, Lazy]] = {
    Status.OPEN: ("inbox", _("Open")),
    Status.PENDING: ("hourglass", _("Waiting for the customer")),
    Status.SNOOZED: ("alarm-clock", _("Snoozed")),
    Status.RESOLVED: ("check", _("Resolved")),
    Status.SPAM: ("ban", _("Spam")),
}
PRIORITIES: dict[Priority, tuple[str, Lazy]] = {
    Priority.URGENT: ("urgent", _("Urgent")),
    Priority.HIGH: ("high", _("High")),
    Priority.NORMAL: ("normal", _("Normal")),
    Priority.LOW: ("low", _("Low")),
}

# What can be filled into a macro.
FILLED: Mapping[Name, Lazy] = {
    Name.CUSTOMER_FIRST_NAME: _("the customer's first name"),
    Name.CUSTOMER_NAME: _("the customer's name"),
    Name.CUSTOMER_EMAIL: _("the customer's e-mail address"),
    Name.ORDER_NUMBER: _("the order's number"),
    Name.ORDER_TOTAL: _("the order's amount"),
    Name.ORDER_DATE: _("the day of the order"),
    Name.ORDER_LINK: _("the page of the order"),
    Name.TRACKING_NUMBER: _("the tracking number"),
    Name.TRACKING_LINK: _("the carrier's page"),
    Name.TRACKING_CARRIER: _("the carrier"),
    Name.AGENT_FIRST_NAME: _("your first name"),
    Name.AGENT_NAME: _("your name"),
    Name.STORE_NAME: _("the store's name"),
    Name.STORE_LINK: _("the store's address"),
}

ADVICE: Mapping[str, Lazy] = {
    "changed": _("Look again: the amounts are counted anew."),
    "unreachable": _("Check that the store is online, then try again."),
    "throttled": _("The store is busy. Try again in a minute."),
    "order_gone": _("Look for the order in the store; it may have been deleted there."),
    "keys_refused": _("Connect the store again under Stores."),
    "needs_reauth": _("Connect the store again under Stores."),
    "read_only_key": _("Connect the store again and approve reading and writing."),
    "missing_right": _("Connect the store again as a user who may manage the shop."),
    "store_error": _("Try again in a minute. If it stays, look into the store's own error log."),
    "job": _("Look at the order in the store before trying again."),
    ACCESS_DENIED: _("An administrator of the store can allow it under Stores, Permissions."),
}
"""What to do where a platform does not answer or says no, by its code."""


def silence(t: Translator, error: PlatformError) -> str:
    """Why a store could not be asked: what to do about it, else the platform's own words, never its code."""
    advice = ADVICE.get(error.code)
    if advice is not None:
        return t.gettext(advice)
    if error.said:
        return t.gettext("The store said: %(said)s", said=isolate(error.said))
    return t.gettext("It did not say why. Try again in a minute.")


def filled(t: Translator, name: str) -> str:
    """What can be filled into a text, in words."""
    if name.startswith(SNIPPET):
        return t.gettext("the snippet %(name)s", name=isolate(name.removeprefix(SNIPPET)))
    return t.gettext(FILLED[Name(name)])
