"""What the shoppers of a store may do to their orders alone: what, until when, of which orders."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import select
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from admin_ui.store_choice import Setting, choose, of_path
from plugin.crm.orders import Order
from plugin.kernel import money as moneys
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money, exponent_of
from plugin.kernel.text import normalise
from plugin.platform import Cancel, Change, OrderAction, PlatformError, Readdress, ShortAddress, ShortAddresses
from plugin.returns import self_service
from plugin.returns.self_service import Allowance, Doing, Door, Rules
from plugin.stores import Store

_LONGEST = 60 * 24 * 30
"""Minutes that a rule can last at most: thirty days."""
DOINGS: dict[Doing, tuple[Lazy, Lazy]] = {
    Doing.CANCEL: (_("Cancel the order"), _("What was paid goes back, and the goods to the shelf.")),
    Doing.ADDRESS: (_("Send it to another address"), _("In the same country, before anything is packed.")),
    Doing.CHANGE: (
        _("Change a size or a number"),
        _("What it costs more is paid afterwards, what it costs less goes back at once."),
    ),
}
DOORS: dict[Door, tuple[Lazy, Lazy]] = {
    Door.ORDERS: (_("See where an order is"), _("Parcels, dates, changing it and ordering it again.")),
    Door.RETURNS: (_("Send something back"), _("A return is begun; those under way go on in any case.")),
    Door.CLAIMS: (
        _("Report a problem with an order"),
        _("Not arrived, damaged, wrong or missing: it becomes a claim."),
    ),
}
_TRIED: dict[Doing, OrderAction] = {Doing.CANCEL: Cancel(), Doing.ADDRESS: Readdress(), Doing.CHANGE: Change()}
SETTING = Setting(
    "settings/self-service",
    _("What customers do themselves"),
    _("Each store has its own rules."),
    _("Connect a store first; what its customers may do is said here."),
    "package",
)
_PERMISSIONS: dict[str, Lazy] = {
    "write_orders": _("refund, cancel and change orders"),
    "write_order_edits": _("change the goods of an order"),
}


async def index(desk: Desk) -> Response:
    """The only store's rules, or the stores to choose from."""
    return await choose(desk, SETTING)


async def one(desk: Desk) -> Response:
    """The rules of a store."""
    async with desk.transaction() as tx:
        store = await of_path(tx, desk)
        rules = await self_service.rules_of(tx, store.id)
        newest = await tx.scalar(
            select(Order.external_id)
            .where(Order.workspace_id == tx.workspace_id, Order.store_id == store.id, Order.deleted_at.is_(None))
            .order_by(Order.placed_at.desc())
            .limit(1)
        )
    return desk.page(
        "self_service.html", heading=desk.t.gettext("What customers do themselves"), store=store, rules=rules,
        doors=[(door, name, about, door in rules.doors) for door, (name, about) in DOORS.items()],
        doings=[(doing, name, about, rules.of(doing)) for doing, (name, about) in DOINGS.items()],
        amount=lambda minor: _spelled(store, minor), missing=await _missing(desk, store, rules, newest),
        short=await _short(desk, store),
        saved=desk.request.query_params.get("saved", ""),
    )  # fmt: skip


async def short_address(desk: Desk) -> Response:
    """Make `/returns` lead to the page, or take that away again."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await of_path(tx, desk)
    platform = desk.app.platforms[store.platform]
    if not isinstance(platform, ShortAddresses):
        raise nothing_here()
    try:
        found = await platform.give_short_address(store.connection(), on=form.get("on") == "yes")
    except PlatformError as error:
        raise AhlanError(
            _("The store does not answer just now."), _("Try again in a minute; nothing was changed."),
            code="store_away",
        ) from error  # fmt: skip
    return desk.page("self_service.html", block="short", store=store, short=found)


async def _shut(desk: Desk, store: Store) -> None:
    """Nothing is left behind the short address: it would lead shoppers to a page that sends them away."""
    platform = desk.app.platforms[store.platform]
    if isinstance(platform, ShortAddresses):
        # Where the store does not answer, the button below still takes it away.
        with suppress(PlatformError):
            await platform.give_short_address(store.connection(), on=False)


async def _short(desk: Desk, store: Store) -> ShortAddress | None:
    platform = desk.app.platforms[store.platform]
    if not isinstance(platform, ShortAddresses):
        return None
    try:
        return await platform.short_address(store.connection())
    except PlatformError:
        # A store that does not answer now is shown under Stores.
        return None


async def save(desk: Desk) -> Response:
    """What the form says. Raises AhlanError for what is no number or amount."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await of_path(tx, desk)
        rules = Rules(
            orders=Door.ORDERS in form, returns=Door.RETURNS in form, claims=Door.CLAIMS in form,
            **{doing.value: _allowance(form, doing.value, store) for doing in Doing}, again="again" in form,
        )  # fmt: skip
        await self_service.save(tx, store, rules, by=desk.agent)
    if not rules.doors:
        await _shut(desk, store)
    return desk.go(f"settings/self-service/{store.id}", saved="rules")


def _allowance(form: FormData, name: str, store: Store) -> Allowance:
    until = str(form.get(f"{name}-until", ""))
    minutes = 0
    if until == "minutes":
        typed = whole(normalise(str(form.get(f"{name}-minutes", ""))), _LONGEST)
        if not typed:
            raise AhlanError(
                _("The time is a whole number of minutes, up to thirty days."),
                _("Nothing was changed."),
                code="minutes",
            )
        minutes = typed
    return Allowance(
        on=f"{name}-on" in form, minutes=minutes, paid=f"{name}-paid" in form, unpaid=f"{name}-unpaid" in form,
        most=_most(str(form.get(f"{name}-most", "")).strip(), store),
    )  # fmt: skip


def _most(typed: str, store: Store) -> int | None:
    if not typed:
        return None
    try:
        amount, _exact = moneys.parse(normalise(typed).replace("٫", "."), store.currency, _exponent(store))
    except (ValueError, ArithmeticError):
        amount = None
    if amount is None or amount.amount <= 0:
        raise AhlanError(_("An amount is a number above nothing."), _("Nothing was changed."), code="amount")
    return amount.amount


def _exponent(store: Store) -> int:
    # As the orders of the store are kept: never fewer decimals than its currency has.
    return max(exponent_of(store.currency), store.currency_decimals or 0)


def _spelled(store: Store, minor: int | None) -> str:
    return str(Money(minor, store.currency, _exponent(store)).decimal()) if minor is not None else ""


async def _missing(desk: Desk, store: Store, rules: Rules, newest: str | None) -> list[dict[str, Any]]:
    """Permissions without which the store refuses what the rules allow: asked of the newest order, which stays."""
    platform = desk.app.platforms[store.platform]
    found: dict[str, dict[str, Any]] = {}
    for doing, action in _TRIED.items():
        if not rules.may(doing).on or newest is None:
            continue
        try:
            quote = await platform.quote(store.connection(), newest, action)
        except PlatformError:
            # A store that does not answer now is shown under Stores.
            return []
        if quote.ask:
            words = _PERMISSIONS.get(quote.ask)
            found[quote.ask] = {"what": desk.t.gettext(words) if words else quote.ask}
    return list(found.values())
