"""Every word of the screens about a shopper's orders, by the key its modules ask for (domain `return_flow`).

They are asked for when these screens are first opened, so that a chat does not carry them.
"""

from __future__ import annotations

from collections.abc import Callable

from plugin.widget.strings import SAMPLES


def strings(_: Callable[[str], str], ngettext: Callable[[str, str, int], str]) -> dict[str, str]:
    """The words in the language of the two gettext functions."""
    forms: dict[str, Callable[[int], str]] = {
        "o.items": lambda n: ngettext("{count} item", "{count} items", n),
        "o.days": lambda n: ngettext("{count} day", "{count} days", n),
    }
    words = {
        "o.title": _("Orders & returns"),
        "o.back": _("Back"),
        "o.loading": _("One moment"),
        "o.failed": _("This could not be loaded. Nothing is lost."),
        "o.again": _("Try again"),
        "o.mine": _("Your orders"),
        "o.none": _("There are no orders in this account yet."),
        "o.other": _("Find another order"),
        "o.find": _("Find your order"),
        "o.find_why": _("A code goes to the e-mail address or phone on the order, so that only you see it."),
        "o.number": _("Order number"),
        "o.number_hint": _("For example 1001. It stands in the confirmation e-mail."),
        "o.contact": _("E-mail or phone of the order"),
        "o.send_code": _("Send me a code"),
        "o.code": _("Enter the code"),
        "o.code_why": _(
            "If these details belong to an order, a code is on its way to the e-mail address or phone on that order. "
            "It is good for {minutes} minutes."
        ),
        "o.code_label": _("Code of 6 digits"),
        "o.open": _("Open the order"),
        "o.resend": _("Send a new code"),
        "o.details": _("Change the details"),
        "o.no_code": _("No code? An order without an e-mail address has none to send it to."),
        "o.no_codes": _("This shop sends no codes yet. Leave your request: the shop calls you, then takes care of it."),
        "o.call": _("Ask the shop to call me"),
        "o.call_title": _("The shop calls you"),
        "o.phone": _("Your phone number"),
        "o.call_words": _("What is it about?"),
        "o.call_send": _("Send the request"),
        "o.call_sent": _("Your request is with the shop. It calls you before anything is done."),
        "o.to_chat": _("To the conversation"),
        "o.name": _("Order {name}"),
        "o.placed": _("Placed on {date}"),
        "o.step.ordered": _("Ordered"),
        "o.step.packed": _("Packed"),
        "o.step.shipped": _("Shipped"),
        "o.step.out_for_delivery": _("Out for delivery"),
        "o.step.delivered": _("Delivered"),
        "o.step.cancelled": _("Cancelled"),
        "o.steps": _("Where it is"),
        "o.next": _("not yet"),
        "o.parts": _("Not everything is in the same parcel."),
        "o.late": _("This takes longer than usual."),
        "o.late_why": _("Nine of ten parcels of this shop took no longer than {days}. Write to us if you wait for it."),
        "o.parcel": _("Parcel"),
        "o.parcel_failed": _("The carrier could not deliver it."),
        "o.track": _("Follow the parcel"),
        "o.goods": _("What is in it"),
        "o.quantity": _("Quantity {count}"),
        "o.pay": _("Total"),
        "o.problem": _("Something is wrong"),
        "o.problem_what": _("What happened?"),
        "o.problem.not_arrived": _("It has not arrived"),
        "o.problem.damaged": _("Something arrived damaged"),
        "o.problem.wrong_item": _("A wrong item arrived"),
        "o.problem.missing_item": _("Something is missing"),
        "o.problem.other": _("Something else"),
        "o.problem_which": _("Which item is it?"),
        "o.problem_words": _("What should the shop know?"),
        "o.problem_send": _("Tell the shop"),
        "o.problem_sent": _("The shop knows now and answers in the conversation."),
        "o.optional": _("optional"),
        "o.photos": _("Photos"),
        "o.photo_add": _("Take or choose a photo"),
        "o.photo_needed": _("A photo is needed."),
        "o.photo_going": _("A photo is still on its way."),
        "o.less": _("One less of {item}"),
        "o.more": _("One more of {item}"),
        "o.see": _("See the order in the shop"),
    }
    for key, form in forms.items():
        words |= {f"{key}.{category}": form(number) for category, number in SAMPLES.items()}
    return words
