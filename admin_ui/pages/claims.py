"""What customers said is wrong with their orders, beside the conversation: settled with one press, or declined."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.words import State
from plugin.conversations.conversations import Conversation
from plugin.crm import actions, orders
from plugin.crm.actions import ActionRow
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Conflict, Forbidden
from plugin.kernel.lazy import Lazy, _
from plugin.platform import PlatformError, Quote
from plugin.returns import claims
from plugin.returns.claims import Claim, OrderClaim, Wish
from plugin.team import Permission

NAMES: dict[str, Lazy] = {
    Claim.NOT_ARRIVED: _("It has not arrived"),
    Claim.DAMAGED: _("Something arrived damaged"),
    Claim.WRONG_ITEM: _("A wrong item arrived"),
    Claim.MISSING_ITEM: _("An item is missing"),
    Claim.OTHER: _("Something else"),
}
_STATES: dict[str, State] = {
    claims.OPEN: State(_("Open"), "warn", "circle-alert"),
    claims.SETTLED: State(_("Settled"), "good", "check"),
    claims.DECLINED: State(_("Declined"), "", "circle-x"),
}
_GOING = State(_("On its way"), "", "clock")
_FAILED = State(_("The store refused it"), "bad", "circle-x")


async def beside(desk: Desk) -> Response:
    """The claims of a conversation, the open ones with what settles them and what that costs by the store's count."""
    async with desk.transaction() as tx:
        talk = await tx.get(Conversation, desk.path_id())
        if talk is None:
            raise nothing_here()
        shown = [await _shown(tx, one) for one in await claims.of_conversation(tx, talk.id)]
    for one in shown:
        if one["open"] and desk.may(Permission.REFUND):
            one["costs"] = await _costs(desk, one)
    return desk.page(
        "claims_beside.html", block="claims", claims=shown, may_settle=desk.may(Permission.REFUND), alone=False
    )


async def index(desk: Desk) -> Response:
    """The claims of all conversations: the open ones, which wait the longest first, or all of them."""
    every = desk.request.query_params.get("show") == "all"
    after = desk.request.query_params.get("after", "")
    async with desk.transaction() as tx:
        found, cursor = await claims.listed(tx, every=every, after=as_id(after) if after else None)
        shown = [await _shown(tx, one) for one in found]
        waiting = await claims.count_open(tx)
    return desk.page(
        "claims.html", heading=desk.t.gettext("Claims"), claims=shown, cursor=cursor, every=every, waiting=waiting
    )


async def one(desk: Desk) -> Response:
    """One claim with what settles it, below the line of the list that names it."""
    async with desk.transaction() as tx:
        claim = await tx.get(OrderClaim, desk.path_id())
        if claim is None:
            raise nothing_here()
        shown = await _shown(tx, claim)
    if shown["open"] and desk.may(Permission.REFUND):
        shown["costs"] = await _costs(desk, shown)
    return desk.page(
        "claims_beside.html", block="claims", claims=[shown], may_settle=desk.may(Permission.REFUND), alone=True
    )


async def _shown(tx: Tx, claim: OrderClaim) -> dict[str, Any]:
    view = await orders.get(tx, claim.order_id)
    action = await tx.get(ActionRow, claim.action_id) if claim.action_id else None
    titles = {line.external_id: line.title for line in view.lines} if view is not None else {}
    failed = action is not None and action.state == actions.FAILED
    state = _FAILED if failed else _STATES[claim.state]
    if action is not None and action.state in actions.OPEN:
        state = _GOING
    return {
        "claim": claim,
        "name": NAMES.get(claim.kind, NAMES[Claim.OTHER]),
        "order": view.order if view is not None else None,
        "goods": [(titles.get(one.line_external_id, ""), one.quantity) for one in claim.goods],
        "open": claim.state == claims.OPEN or failed,
        "state": state,
        "action": action,
        "costs": {},
    }


async def _costs(desk: Desk, shown: dict[str, Any]) -> dict[str, Quote]:
    """What each remedy would do; what the store would refuse is not offered."""
    order = shown["order"]
    if order is None:
        return {}
    async with desk.transaction() as tx:
        _order, store = await actions.order_of(tx, order.id)
    platform = desk.app.platforms[store.platform]
    found = {}
    for wish in (Wish.REPLACEMENT, Wish.REFUND):
        remedy = claims.remedy(shown["claim"], wish)
        if type(remedy) not in platform.actions:
            continue
        try:
            quote = await platform.quote(store.connection(), order.external_id, remedy)
        except PlatformError:
            continue
        if not quote.refusal and not quote.ask:
            found[wish.value] = quote
    return found


async def settle(desk: Desk) -> Response:
    """Do what was shown: the money back, or the goods once more. One press, and never twice."""
    form = await desk.request.form()
    wish = str(form.get("wish", ""))
    if wish not in (Wish.REFUND, Wish.REPLACEMENT):
        raise nothing_here()
    async with desk.transaction() as tx:
        claim = await claims.open_one(tx, desk.path_id())
        order, store = await actions.order_of(tx, claim.order_id)
    remedy = claims.remedy(claim, Wish(wish))
    try:
        quote = await desk.app.platforms[store.platform].quote(store.connection(), order.external_id, remedy)
    except PlatformError as error:
        raise AhlanError(
            _("The store does not answer just now."),
            _("Try again in a minute; nothing was changed."),
            code="store_away",
        ) from error
    shown = "" if quote.amount is None else str(quote.amount.amount)
    if quote.refusal or quote.ask or str(form.get("amount", "")) != shown:
        raise Conflict(_("This is not what was shown."), _("Look again at what will happen; nothing was changed."))
    async with desk.transaction() as tx:
        held = await claims.open_one(tx, claim.id)
        row = await actions.prepare(tx, order, remedy, quote, by=desk.agent)
        row = await actions.confirm(tx, row.id, by=desk.agent, amount=shown)
        await claims.settle(tx, held, by=desk.agent, action=row)
    return _told(desk)


async def decline(desk: Desk) -> Response:
    """Nothing is done about it; the words are the team's own, and the answer is written in the conversation."""
    form = await desk.request.form()
    note = str(form.get("note", "")).strip()
    if not note:
        raise AhlanError(_("Say why, for whoever asks later."), code="empty")
    if not desk.may(Permission.REPLY):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    async with desk.transaction() as tx:
        held = await claims.open_one(tx, desk.path_id())
        await claims.settle(tx, held, by=desk.agent, action=None, note=note)
    return _told(desk)


def _told(desk: Desk) -> Response:
    answer = Response(status_code=204)
    answer.headers["hx-trigger"] = "ahlan:claims, ahlan:acted"
    return answer
