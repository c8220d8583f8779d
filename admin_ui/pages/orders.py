"""What an agent does to an order beside the conversation: choose, see what will happen, confirm, and how it went."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from admin_ui.words import ADVICE, State
from plugin import stores
from plugin.crm import actions
from plugin.crm.actions import ActionRow
from plugin.crm.orders import Order
from plugin.kernel import money as moneys
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, Forbidden
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.platform import (
    Annotate,
    Cancel,
    Change,
    Discount,
    Duplicate,
    EndDiscount,
    OrderAction,
    PlatformError,
    Quote,
    Readdress,
    Refund,
    RefundLine,
    Retag,
)

_LONGEST_NOTE = 2000
_LONGEST_REASON = 250
_TAG = re.compile(r"[^,\n]{1,40}")


@dataclass(frozen=True, slots=True)
class Kind:
    """An action as the menu names it."""

    sign: str
    name: Lazy
    about: Lazy


KINDS: Mapping[str, Kind] = {
    "refund": Kind("undo-2", _("Refund"), _("All of it, some lines, or delivery")),
    "cancel": Kind("ban", _("Cancel the order"), _("As long as nothing was sent")),
    "address": Kind("map-pin", _("Change the address"), _("As long as nothing was sent")),
    "change": Kind(
        "arrow-left-right", _("Change the goods"), _("Another kind or count; the difference is paid or goes back")
    ),
    "duplicate": Kind("copy-plus", _("Send the goods again"), _("As a draft: to be paid, or free of charge")),
    "discount": Kind("ticket-percent", _("Discount code"), _("For this customer, good once")),
    "link": Kind("link", _("Payment link"), _("Where what is still owed is paid")),
    "note": Kind("notebook-pen", _("Note on the order"), _("For the shop's own people, in the store")),
    "tags": Kind("tags", _("Tags of the order"), _("As the store keeps them")),
}
_AT_ONCE = frozenset({"address", "note", "tags", "discount", "end_discount"})
"""Nothing of these has to be seen before: what is sent is what was typed, and most can be taken back."""

_REFUSALS: Mapping[str, tuple[Lazy, Lazy]] = {
    "nothing_left": (_("Nothing can be given back."), _("Choose lines or delivery, or see what went back already.")),
    "not_paid": (_("This order has not been paid."), _("There is no money to give back; it can be cancelled.")),
    "cancelled_already": (_("This order is cancelled already."), _("Nothing is left to do.")),
    "refunded_already": (_("This order was refunded already."), _("Nothing is left to do.")),
    "sent_already": (
        _("Something of this order was sent already."),
        _("Refund what should not be paid, or ask the carrier about the parcel."),
    ),
    "nothing_stays": (_("An order needs something in it."), _("Cancel it instead.")),
    "one_by_one": (
        _("What costs more and what costs less cannot be changed together: the order is paid."),
        _("Make one change of what costs less, then another of what costs more."),
    ),
    "refunded_partly": (
        _("Part of this order was refunded already, so its goods can no longer be changed."),
        _("Refund what should go, and make a new order of what they want instead."),
    ),
    "not_editable": (
        _("The store does not let the goods of this order be changed."),
        _("Look at the order in the store; refund what should go, or make a new order."),
    ),
    "changed": (_("The order has changed meanwhile."), _("Close this and look at the order again.")),
    "no_email": (
        _("The order has no e-mail address."),
        _("Make the draft without a mail and hand over its link here."),
    ),
}
_NOTES: Mapping[str, Lazy] = {
    "store_mails": _("Whether the customer gets a mail is decided by the store's own settings."),
    "restocks_anyway": _("The store puts the goods of a cancelled order back in stock in any case."),
}
_PERMISSIONS: Mapping[str, Lazy] = {
    "write_orders": _("refund, cancel and change orders"),
    "write_draft_orders": _("make draft orders"),
    "write_discounts": _("make discount codes"),
    "write_order_edits": _("change the goods of orders"),
}
_STATES: Mapping[str, State] = {
    actions.SENT: State(_("On its way"), "", "clock"),
    actions.DONE: State(_("Done"), "good", "check"),
    actions.FAILED: State(_("Not done"), "bad", "circle-x"),
    actions.UNKNOWN: State(_("Look into it"), "warn", "triangle-alert"),
}
_REASONS: Mapping[str, Lazy] = {
    "customer": _("The customer wants it"),
    "stock": _("Not in stock"),
    "fraud": _("Looks like fraud"),
    "declined": _("The payment failed"),
    "other": _("Another reason"),
}


@dataclass(frozen=True, slots=True)
class Doing:
    """Something that was done to an order, as its card says it."""

    id: UUID
    text: str
    state: State
    at: Any


def doings(t: Translator, rows: Sequence[ActionRow]) -> list[Doing]:
    """The last few things done to an order."""
    return [Doing(row.id, _told(t, row), _STATES[row.state], row.finished_at or row.created_at) for row in rows[:3]]


def _told(t: Translator, row: ActionRow) -> str:
    """What was done, with its amount or its code."""
    kind = KINDS.get(row.kind)
    name = t.gettext(kind.name if kind else _("Discount code ended"))
    if row.agent_id is None:
        by_shopper = row.visitor_id is not None
        name = t.gettext("%(what)s, by the customer" if by_shopper else _("%(what)s, by the bot"), what=name)
    if row.state == actions.DONE and row.done.amount is not None and row.moves:
        return f"{name} · {t.format_money(row.done.amount)}"
    amount = row.money
    if amount is not None and row.kind in ("refund", "cancel"):
        return f"{name} · {t.format_money(amount)}"
    return name


# Pages


async def menu(desk: Desk) -> Response:
    """What can be done to this order here, and what was done lately."""
    async with desk.transaction() as tx:
        order, store = await actions.order_of(tx, desk.path_id())
        rows = (await actions.of_orders(tx, [order.id])).get(order.id, ())
    offered = desk.app.platforms[store.platform].actions
    kinds = [
        (name, kind)
        for name, kind in KINDS.items()
        if name == "link" or (actions.KINDS[name] in offered and desk.may(_right(name)))
    ]
    return desk.page(
        "order_action.html", block="act_menu", order=order, store=store, kinds=kinds, doings=doings(desk.t, rows)
    )


def _right(name: str) -> str:
    """The right without which an action is not offered; what it costs is looked at when it is."""
    shapes: Mapping[str, OrderAction] = {"refund": Refund(), "discount": Discount(), "change": Change()}
    return actions.needs(shapes.get(name, Annotate()))


async def look(desk: Desk) -> Response:
    """One action: the fields to fill, with what would happen as they stand."""
    return await _look(desk, _kind(desk), None)


async def look_at_refund(desk: Desk) -> Response:
    """The same for money."""
    return await _look(desk, "refund", None)


async def change(desk: Desk) -> Response:
    """The fields were filled differently, or, where nothing has to be seen before, sent."""
    return await _look(desk, _kind(desk), await desk.request.form())


async def change_refund(desk: Desk) -> Response:
    """The same for money."""
    return await _look(desk, "refund", await desk.request.form())


def _kind(desk: Desk) -> str:
    name = str(desk.request.path_params["kind"])
    if name not in _READERS or name == "refund":
        raise nothing_here()
    return name


async def _look(desk: Desk, name: str, form: FormData | None) -> Response:
    async with desk.transaction() as tx:
        order, store = await actions.order_of(tx, desk.path_id())
    platform = desk.app.platforms[store.platform]
    if actions.KINDS[name] not in platform.actions:
        raise nothing_here()
    action = _first(desk, name) if form is None else _read(name, form, order)
    context: dict[str, Any] = {
        "what": name, "kind": KINDS.get(name), "order": order, "store": store, "action": action, "reasons": _REASONS,
    }  # fmt: skip
    if isinstance(action, EndDiscount):
        async with desk.transaction() as tx:
            if action.discount_external_id not in await _made(tx, order, "discount"):
                raise nothing_here()
    try:
        quote = await platform.quote(store.connection(), order.external_id, action)
    except PlatformError as error:
        trouble = trouble_of(desk.t, error.said, error.code)
        return desk.page("order_action.html", block="act_trouble", trouble=trouble, **context)
    at_once = name in _AT_ONCE
    row, limited = None, ""
    if not quote.refusal and not quote.ask and (form is not None or not at_once):
        try:
            async with desk.transaction() as tx:
                row = await actions.prepare(tx, order, action, quote, by=desk.agent)
                if at_once:
                    row = await actions.confirm(
                        tx, row.id, by=desk.agent, amount="" if row.amount is None else str(row.amount)
                    )
        except Forbidden as error:
            if error.code != "over_limit":
                raise
            limited = desk.t.gettext(error.message)
    if at_once and row is not None:
        return _state(desk, row, order, store)
    if isinstance(action, Readdress) and form is None:
        context["action"] = Readdress(**quote.before) if quote.before else action
    return desk.page(
        "order_action.html", block="act_form", quote=quote, row=row, limited=limited, refusal=refusal_of(desk.t, quote),
        notes=[desk.t.gettext(_NOTES[note]) for note in quote.notes], ask=ask_for(desk, store, quote), at_once=at_once,
        **context,
    )  # fmt: skip


def refusal_of(t: Translator, quote: Quote) -> tuple[str, str]:
    """Why the store would not do it and what helps, for the team; what has no words of ours is said in the store's."""
    what, how = _REFUSALS.get(quote.refusal, ("", ""))
    return (t.gettext(what), t.gettext(how)) if what else (quote.refusal, "")


def ask_for(desk: Desk, store: stores.Store, quote: Quote) -> Mapping[str, Any] | None:
    """The permission that is missing: asked for here where the admin around us belongs to this store."""
    if not quote.ask:
        return None
    what = desk.t.gettext(_PERMISSIONS[quote.ask])
    return {"scope": quote.ask, "what": what, "here": desk.store_id == store.id and desk.may("manage_stores")}


def trouble_of(t: Translator, said: str, code: str) -> Mapping[str, str]:
    """The platform's own words, and what to do about them."""
    advice = ADVICE.get(code)
    return {"said": said, "how": t.gettext(advice) if advice else ""}


async def confirm(desk: Desk) -> Response:
    """The agent saw it and says so."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        row = await actions.confirm(tx, desk.path_id(), by=desk.agent, amount=str(form.get("amount", "")))
        order, store = await _of(tx, row)
    return _state(desk, row, order, store)


async def state(desk: Desk) -> Response:
    """How it went; asked again while it is on its way."""
    async with desk.transaction() as tx:
        row = await tx.get(ActionRow, desk.path_id())
        if row is None or row.state == actions.PREPARED:
            raise nothing_here()
        order, store = await _of(tx, row)
    return _state(desk, row, order, store)


async def again(desk: Desk) -> Response:
    """Ask the store once more what became of it."""
    async with desk.transaction() as tx:
        row = await actions.look_again(tx, desk.path_id())
        order, store = await _of(tx, row)
    return _state(desk, row, order, store)


async def not_done(desk: Desk) -> Response:
    """Somebody looked into the store: it did not happen."""
    async with desk.transaction() as tx:
        row = await actions.not_done(tx, desk.path_id(), by=desk.agent)
        order, store = await _of(tx, row)
    return _state(desk, row, order, store)


async def was_done(desk: Desk) -> Response:
    """Somebody looked into the store and at the gateway: it happened."""
    async with desk.transaction() as tx:
        row = await actions.was_done(tx, desk.path_id(), by=desk.agent)
        order, store = await _of(tx, row)
    return _state(desk, row, order, store)


async def _of(tx: Tx, row: ActionRow) -> tuple[Order, stores.Store]:
    order, store = await tx.get(Order, row.order_id), await stores.get(tx, row.store_id)
    if order is None or store is None:
        raise nothing_here()
    return order, store


def _state(desk: Desk, row: ActionRow, order: Order, store: stores.Store) -> Response:
    shown = desk.page(
        "order_action.html", block="act_state", row=row, order=order, store=store, kind=KINDS.get(row.kind),
        state=_STATES[row.state], told=_told(desk.t, row), trouble=trouble_of(desk.t, row.said, row.code),
        undo=_undo(row) if row.state == actions.DONE else None,
    )  # fmt: skip
    if row.state != actions.SENT:
        shown.headers["hx-trigger"] = "ahlan:acted"
    return shown


def _undo(row: ActionRow) -> tuple[str, Mapping[str, str]] | None:
    """What takes it back: an action of its own, and its fields."""
    match row.action:
        case Readdress() if row.quoted.before.get("line1"):
            return "address", {name: str(value) for name, value in row.quoted.before.items()}
        case Retag(add=add, remove=remove):
            # A tag that was there before stays there.
            held = {str(tag).casefold() for tag in row.quoted.before.get("tags") or ()}
            new = [tag for tag in add if tag.casefold() not in held]
            gone = [tag for tag in remove if tag.casefold() in held]
            return ("tags", {"add": ", ".join(gone), "remove": ", ".join(new)}) if new or gone else None
        case Discount(code=code):
            return "end_discount", {"id": row.done.external_id, "code": code}
    return None


async def link(desk: Desk) -> Response:
    """Where what is owed is paid, for this order or for a draft made here. Shown once, kept nowhere."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        order, store = await actions.order_of(tx, desk.path_id())
        made = str(form.get("made", ""))
        if made and made not in await _made(tx, order, "duplicate"):
            raise nothing_here()
    scope: dict[str, Any] = {"what": "link", "kind": KINDS["link"], "order": order, "store": store}
    try:
        address = await desk.app.platforms[store.platform].pay_link(store.connection(), order.external_id, made)
    except PlatformError as error:
        trouble = trouble_of(desk.t, error.said, error.code)
        return desk.page("order_action.html", block="act_trouble", trouble=trouble, **scope)
    shown = address if address.startswith(("https://", "http://")) else ""
    return desk.page("order_action.html", block="act_link", address=shown, **scope)


async def _made(tx: Tx, order: Order, kind: str) -> set[str]:
    """What was made from here for this order: nobody reaches for anything else of the store."""
    rows = (await actions.of_orders(tx, [order.id])).get(order.id, ())
    return {row.done.external_id for row in rows if row.kind == kind and row.state == actions.DONE}


# Reading forms


def _first(desk: Desk, name: str) -> OrderAction:
    """An action as it is offered."""
    match name:
        case "refund":
            return Refund(whole=True, shipping=True, restock=True)
        case "cancel":
            return Cancel(refund=desk.may("refund"))
    return actions.KINDS[name]()


def _read(name: str, form: FormData, order: Order) -> OrderAction:
    """What the fields say. Raises AhlanError on what cannot be meant."""
    return _READERS[name](form, order)


def _text(form: FormData, name: str, longest: int = 200) -> str:
    return str(form.get(name, "")).strip()[:longest]


def _number(text: str) -> int:
    return whole(text, 99_999_999) or 0


def _refund(form: FormData, order: Order) -> Refund:
    wanted = {str(key)[5:]: _number(str(value)) for key, value in form.items() if str(key).startswith("line:")}
    left = {str(key)[5:]: _number(str(value)) for key, value in form.items() if str(key).startswith("left:")}
    shipping = "shipping" in form
    # Everything that can be chosen is chosen: then fees and what rounding left go back too.
    everything = bool(left) and wanted == left and (shipping or "delivery" not in form)
    lines = tuple(RefundLine(id, count) for id, count in wanted.items() if count)
    return Refund(
        lines=() if everything else lines, shipping=shipping, whole=everything, restock="restock" in form,
        notify="notify" in form, reason=_text(form, "reason", _LONGEST_REASON),
    )  # fmt: skip


def _cancel(form: FormData, order: Order) -> Cancel:
    reason = _text(form, "reason")
    return Cancel(
        reason=reason if reason in _REASONS else "other", refund="refund" in form, restock="restock" in form,
        notify="notify" in form, note=_text(form, "note", _LONGEST_REASON),
    )  # fmt: skip


def _address(form: FormData, order: Order) -> Readdress:
    found = Readdress(**{name: _text(form, name) for name in Readdress.__dataclass_fields__})
    if not (found.line1 and found.city and re.fullmatch(r"[A-Za-z]{2}", found.country)):
        raise AhlanError(
            _("An address needs a street, a city and a country."),
            _("The country is its two letters, as in SA, IL or GB; nothing was changed."),
            code="address",
        )
    return replace(found, country=found.country.upper())


def _note(form: FormData, order: Order) -> Annotate:
    text = _text(form, "text", _LONGEST_NOTE)
    if not text:
        raise AhlanError(_("There is no text yet."), _("Write the note, then send it."), code="empty")
    return Annotate(text)


def _tags(form: FormData, order: Order) -> Retag:
    held = {tag.casefold() for tag in order.tags}

    def read(name: str) -> tuple[str, ...]:
        parts = [part.strip() for part in _text(form, name, 1000).split(",")]
        # An Arabic comma parts what is typed, but belongs to a tag of the store's that has one.
        each = (one.strip() for part in parts for one in ([part] if part.casefold() in held else part.split("،")))
        return tuple(dict.fromkeys(one for one in each if _TAG.fullmatch(one)))

    if "tags" in form:
        # One field with all of them: what is new is put on, what is missing is taken off.
        wanted = read("tags")
        folded = {tag.casefold() for tag in wanted}
        found = Retag(
            tuple(tag for tag in wanted if tag.casefold() not in held),
            tuple(tag for tag in order.tags if tag.casefold() not in folded),
        )
    else:
        found = Retag(read("add"), read("remove"))
    if not found.add and not found.remove:
        raise AhlanError(_("Nothing would change."), _("Add a tag or take one away."), code="empty")
    return found


def _discount(form: FormData, order: Order) -> Discount:
    value, days = _text(form, "value"), min(max(_number(_text(form, "days")), 1), 365)
    try:
        if form.get("unit") == "amount":
            amount, _exact = moneys.parse(value, order.currency, order.exponent)
            if amount.amount > 0:
                return Discount(actions.new_code(), amount=amount.amount, days=days)
        elif 1 <= Decimal(value) <= 100 and Decimal(value) == int(Decimal(value)):
            return Discount(actions.new_code(), percent=int(Decimal(value)), days=days)
    except (ValueError, ArithmeticError):
        pass
    raise AhlanError(
        _("A discount is a whole number of percent from 1 to 100, or an amount above nothing."),
        _("Nothing was changed."), code="discount",
    )  # fmt: skip


def _end_discount(form: FormData, order: Order) -> EndDiscount:
    return EndDiscount(_text(form, "id"), _text(form, "code"))


def _duplicate(form: FormData, order: Order) -> Duplicate:
    return Duplicate(free="free" in form, invoice="invoice" in form)


_READERS: Mapping[str, Callable[[FormData, Order], OrderAction]] = {
    "refund": _refund,
    "cancel": _cancel,
    "address": _address,
    "note": _note,
    "tags": _tags,
    "discount": _discount,
    "end_discount": _end_discount,
    "duplicate": _duplicate,
}
