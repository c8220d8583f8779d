"""The words of the withdrawal screens; asked for when they are first opened (domain `withdrawal`)."""

from __future__ import annotations

from collections.abc import Callable


def strings(_: Callable[[str], str]) -> dict[str, str]:
    """The words in the language of the gettext function. The two labels are not here: they are the law's."""
    return {
        # What the screens share with those about orders.
        "o.failed": _("This could not be loaded. Nothing is lost."),
        "w.why": _(
            "Within 14 days after the goods arrived, or before they are sent, you can withdraw from the contract "
            "without giving a reason. You need no account."
        ),
        "w.name": _("Your name"),
        "w.contract": _("Order number"),
        "w.contract_hint": _("Or, if you do not have it: what you bought, and when."),
        "w.email": _("Your e-mail address"),
        "w.email_hint": _("The receipt goes there at once."),
        "w.goods": _("Only part of the order? Then which goods (optional)"),
        "w.next": _("Go on"),
        "w.check": _("Check your statement"),
        "w.statement": _("I withdraw from the contract about the following:"),
        "w.order": _("Order or contract"),
        "w.what": _("What of it"),
        "w.all": _("everything"),
        "w.to": _("Receipt goes to"),
        "w.not_yet": _("Nothing is sent before you confirm."),
        "w.change": _("Change it"),
        "w.done": _("Your withdrawal has arrived"),
        "w.mailed": _("The receipt is on its way to {email}."),
        "w.unmailed": _("This shop sends no e-mail from here yet. Save the receipt now; the shop writes to you."),
        "w.received": _("Received on"),
        "w.reference": _("Number of this receipt"),
        "w.then": _("The shop looks at it and writes to you about how it goes on."),
        "w.save": _("Save the receipt"),
        "w.missing_name": _("Write your name."),
        "w.missing_contract": _("Write the order number, or what you bought and when."),
        "w.missing_email": _("Write the e-mail address for the receipt."),
        "w.back": _("Back"),
        "w.close": _("Close"),
    }
