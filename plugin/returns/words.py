"""The words for what a return is and does: its states, its steps with the store, and what to do when one sticks."""

from __future__ import annotations

from collections.abc import Mapping

from plugin.kernel.lazy import Lazy, _
from plugin.return_desk import Disposition
from plugin.returns.states import State

STATES: Mapping[State, Lazy] = {
    State.REQUESTED: _("Requested"),
    State.ASKED: _("More information asked"),
    State.APPROVED: _("Approved"),
    State.DECLINED: _("Declined"),
    State.SENT: _("Label sent"),
    State.IN_TRANSIT: _("On its way back"),
    State.RECEIVED: _("Received"),
    State.INSPECTED: _("Inspected"),
    State.PAID: _("Settled"),
    State.CLOSED: _("Closed"),
    State.CANCELLED: _("Cancelled"),
}
DISPOSITIONS: Mapping[Disposition, Lazy] = {
    Disposition.RESTOCK: _("Back on the shelf"),
    Disposition.DAMAGED: _("Damaged"),
    Disposition.MISSING: _("Missing"),
}
STEPS: Mapping[str, Lazy] = {
    "open": _("Make the return known to the store"),
    "decide": _("Tell the store the decision"),
    "label": _("Put the parcel on the store's return"),
    "receive": _("Tell the store what came back"),
    "pay": _("Have the store give back the money"),
    "instead": _("Have what was chosen instead sent"),
    "end": _("Tell the store how it ended"),
}
STEP_STATES: Mapping[str, tuple[Lazy, str, str]] = {
    "queued": (_("On its way"), "", "clock"),
    "by_hand": (_("For you to do"), "warn", "hand-coins"),
    "done": (_("Done"), "good", "check"),
    "failed": (_("Not done"), "bad", "circle-x"),
    "unknown": (_("Look into it"), "warn", "triangle-alert"),
    "skipped": (_("Left out"), "", "ban"),
}
TROUBLES: Mapping[str, Lazy] = {
    "differs": _("The store would give less than was promised. Look at both amounts, then leave this out and pay."),
    "disconnected": _("The store is not connected. Connect it again under Stores, then try again."),
    "refused": _("The store refuses this. Look at the return there, then try again or leave it out."),
    "permission": _("The store has not allowed this. An administrator of the store can, under Stores, Permissions."),
    "not_done": _("It did not happen in the store. It can be tried again."),
    "erased": _("The person was erased meanwhile. Look into the store whether it happened."),
}
REFUSALS: Mapping[str, tuple[Lazy, Lazy]] = {
    "changed": (
        _("The order or its return is different in the store by now."),
        _("Look at it there before anything else is done."),
    ),
    "not_approved": (
        _("In the store this return is not approved yet."),
        _("Approve it there, then try again."),
    ),
    "ended": (
        _("In the store this return is over already."),
        _("Open it there again, or give the money back from the order."),
    ),
    "more_than_paid": (
        _("That is more than is left of what was paid."),
        _("Something went back already, or nothing was paid yet. Give less, or look into the store's books."),
    ),
    "exchange_needs_approval": (
        _("The store takes an exchange only once it is agreed."),
        _("Approve the return first."),
    ),
    "no_customer": (
        _("The order has no customer in the store, so nobody can be given credit."),
        _("Change the return to money back, or add the customer to the order in the store."),
    ),
    "no_email": (
        _("The order has no e-mail address, so the store can give no credit."),
        _("Change the return to money back, or add the address to the order in the store."),
    ),
}
"""Why a platform would not do it (the codes of `ReturnQuote`), and what helps."""
UNKNOWN = _("The store did not say what became of it. Look there before anything else: it may have happened.")
BY_HAND = _("The store has written it down, but this way of paying gives nothing back by itself.")
STUCK: Mapping[str, tuple[Lazy, str, str]] = {
    "by_hand": (_("Money by hand"), "warn", "hand-coins"),
    "failed": (_("The store needs a look"), "bad", "triangle-alert"),
    "unknown": (_("The store needs a look"), "bad", "triangle-alert"),
}
"""What a return waits for somebody with, by the state of its step."""
HAND_EVENT = _("Money to give back by hand")
TRANSFER = _("Refund %(number)s for order %(order)s")
ASK_WHERE_TO = _(
    "For your return %(number)s of order %(order)s you get %(amount)s back. The way you paid cannot take it back by "
    "itself. How would you like to receive it, for example by bank transfer?"
)
"""For their customer, in the customer's language."""

# What happened, for the team. Messages to shoppers are in `telling`.
HISTORY: Mapping[str, Lazy] = {
    "return_request.requested": _("Requested"),
    "return_request.approved": _("Approved"),
    "return_request.declined": _("Declined"),
    "return_request.asked": _("More information asked for"),
    "return_request.answered": _("Answered by the customer"),
    "return_request.label_sent": _("Label sent"),
    "return_request.in_transit": _("Parcel on its way"),
    "return_request.received": _("Parcel received"),
    "return_request.inspected": _("Goods inspected"),
    "return_request.paid": _("Paid"),
    "return_request.sent_instead": _("What was chosen instead is ordered"),
    "return_request.changed": _("Changed"),
    "return_request.completed": _("Settled"),
    "return_request.closed": _("Closed"),
    "return_request.cancelled": _("Cancelled"),
    "return_request.reopened": _("Opened again"),
    "return_request.reminded": _("Customer reminded"),
    "return_request.stuck": _("The store needs a look"),
}
UNVERIFIED = _("Nobody has confirmed that the order is theirs. Call the customer before you approve.")
DECLINES: Mapping[str, Lazy] = {
    "final_sale": _("Sold without a right of return"),
    "too_late": _("Too late"),
    "other": _("Another reason"),
}
