"""Other goods in an order, chosen by an agent: what would happen first, as the store counts it, then their yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from admin_ui.pages.orders import KINDS, ask_for, refusal_of, trouble_of
from plugin.crm import actions, orders, swaps
from plugin.crm.orders import OrderLine, OrderView
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, Forbidden
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.platform import Capability, Change, LineChange, PlatformError, Quote


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the order and what it shall become. `instead`: id, name and price of what it could be."""

    id: str
    title: str
    variant: str
    image: str
    held: int
    price: Money | None
    quantity: int
    most: int
    chosen: str
    instead: Sequence[tuple[str, str, Money | None]]


async def look(desk: Desk) -> Response:
    """The goods as they are."""
    return await _look(desk, None)


async def change(desk: Desk) -> Response:
    """Something else was chosen: nothing happens, the store says what would."""
    return await _look(desk, await desk.request.form())


async def _look(desk: Desk, form: FormData | None) -> Response:
    async with desk.transaction() as tx:
        order, store = await actions.order_of(tx, desk.path_id())
        view = await orders.get(tx, order.id)
        if view is None or Change not in desk.app.platforms[store.platform].actions:
            raise nothing_here()
        others = await swaps.choices(tx, store.id, view)
    platform = desk.app.platforms[store.platform]
    context: dict[str, Any] = {
        "what": "change", "kind": KINDS["change"], "order": order, "store": store,
        "lines": [_line(view, line, others, form) for line in swaps.lines(view)],
        "notify": form is None or "notify" in form, "row": None, "quote": None, "said": ("", ""), "ask": None,
        "may_be_quiet": Capability.QUIET_CHANGES in platform.capabilities,
    }  # fmt: skip
    try:
        wanted = _wanted(form, view) if form is not None else ()
        if not wanted:
            return desk.page("order_goods.html", block="act_form", **context)
        action = replace(swaps.change(wanted, view), notify=bool(context["notify"]))
        async with desk.transaction() as tx:
            await swaps.may_have(tx, store.id, view, action)
        quote = await platform.quote(store.connection(), order.external_id, action)
        context |= {"quote": quote, "ask": ask_for(desk, store, quote)}
        if not quote.ask:
            context["said"] = _refusal(desk.t, quote)
        if not quote.ask and not quote.refusal:
            async with desk.transaction() as tx:
                context["row"] = await actions.prepare(tx, order, action, quote, by=desk.agent)
    except AhlanError as error:
        if isinstance(error, Forbidden) and error.code != "over_limit":
            raise
        context["said"] = tuple(
            desk.t.gettext(words, **error.values) if words else "" for words in (error.message, error.hint)
        )
    except PlatformError as error:
        trouble = trouble_of(desk.t, error.said, error.code)
        return desk.page("order_action.html", block="act_trouble", trouble=trouble, **context)
    return desk.page("order_goods.html", block="act_form", **context)


_NOTHING_CHANGES = (_("Nothing would change."), _("Choose another kind or count."))


def _refusal(t: Translator, quote: Quote) -> tuple[str, str]:
    if quote.refusal == "nothing_left":
        what, how = _NOTHING_CHANGES
        return t.gettext(what), t.gettext(how)
    return refusal_of(t, quote)


def _wanted(form: FormData, view: OrderView) -> Sequence[LineChange]:
    """The lines that shall become something else; a variant of what is taken out says nothing. Raises AhlanError."""
    found = []
    for line in swaps.lines(view):
        said = str(form.get(f"count:{line.external_id}", "")).strip()
        quantity = whole(said, swaps.most_of(line)) if said else orders.held(line)
        if quantity is None:
            raise AhlanError(
                _("%(value)s is no number that can be used here."), values={"value": said[:20]}, code="number"
            )
        variant = str(form.get(f"kind:{line.external_id}", "")) if quantity else ""
        if quantity != orders.held(line) or variant:
            found.append(LineChange(line.external_id, quantity, variant))
    return found


def _line(view: OrderView, line: OrderLine, others: swaps.Choices, form: FormData | None) -> Line:
    order, held = view.order, orders.held(line)
    instead = [
        (one.external_id, one.title, Money(one.price, one.currency, one.exponent) if one.price is not None else None)
        for one in others.get(line.product_external_id, ())
        if one.external_id != swaps.own(line)
    ]
    quantity = whole(str(form.get(f"count:{line.external_id}", "")), swaps.most_of(line)) if form is not None else None
    return Line(
        id=line.external_id, title=line.title, variant=line.variant_title, image=view.picture(line), held=held,
        price=Money(line.unit_price, order.currency, order.exponent) if line.unit_price is not None else None,
        quantity=held if quantity is None else quantity, most=swaps.most_of(line),
        chosen=str(form.get(f"kind:{line.external_id}", "")) if form is not None else "", instead=instead,
    )  # fmt: skip
