"""Other goods in an order at Shopify: what it would cost, doing it, and finding out whether it was done.

Shopify counts: an edit session is begun and its changes staged, which tells the new total and changes nothing. Carrying
out is the same once more and the commit. A session has no key of ours, so after a lost commit the order's lines say
whether it was done, and nothing is committed a second time. The difference goes back by a refund with our key, which
may be repeated (platforms.md A5.5), or is asked for by Shopify's own invoice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from integrations.shopify.client import UserErrors
from plugin.kernel.money import Money, parse
from plugin.platform import Change, Done, PlatformError, Quote, QuotedLine

SCOPES: Final = ("write_order_edits", "write_orders")
"""The edit itself, and giving or asking for the difference."""
_SENT: Final = frozenset({"FULFILLED", "PARTIALLY_FULFILLED", "IN_PROGRESS"})

Run = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""One of our operations at one shop."""


async def quote(run: Run, order: str, action: Change) -> Quote:
    """What the order would cost with these goods, and what of it is to be paid or goes back."""
    state = await _state(run, order)
    if state.get("cancelledAt"):
        return Quote(refusal="cancelled_already")
    if state["displayFulfillmentStatus"] in _SENT:
        return Quote(refusal="sent_already")
    if not state["merchantEditable"]:
        return Quote(refusal=", ".join(state.get("merchantEditableErrors") or ()) or "not_editable")
    held = {line["id"]: line for line in state["lineItems"]["nodes"]}
    if not action.lines or not any(_differs(one, held.get(one.line_external_id)) for one in action.lines):
        return Quote(refusal="nothing_left")
    if any(one.line_external_id not in held for one in action.lines):
        return Quote(refusal="changed")
    try:
        session = await _stage(run, order, action)
    except UserErrors as error:
        return Quote(refusal=error.said)
    total = _shop(session["totalPriceSet"])
    after = _both(state["totalOutstandingSet"], _minus(session["totalPriceSet"], state["currentTotalPriceSet"]))
    balance, charged = after
    transactions = [] if balance.amount >= 0 else _back(order, state, -charged.amount, charged)
    moved = sum(parse(one["amount"], charged.currency)[0].amount for one in transactions)
    if charged.amount < 0 and moved < -charged.amount:
        # Not all of the difference can go back to where it was paid from.
        return Quote(refusal="nothing_left")
    lines = tuple(
        QuotedLine(id, " · ".join(part for part in (str(line["title"]), str(line.get("variantTitle") or "")) if part),
                   int(line["currentQuantity"]), _becomes(action, id, int(line["currentQuantity"])))
        for id, line in held.items()
    )  # fmt: skip
    back = Money(-balance.amount, balance.currency, balance.exponent) if balance.amount < 0 else None
    same = charged.currency == balance.currency
    return Quote(
        amount=back,
        charged=None if same or back is None else Money(-charged.amount, charged.currency, charged.exponent),
        owed=balance if balance.amount > 0 else None,
        lines=lines,
        gateway=", ".join(dict.fromkeys(_gateways(state))) if back is not None else "",
        by_hand=back is not None and any(
            (one.get("parentTransaction") or {}).get("manualPaymentGateway") for one in _suggested(state)
        ),
        before={"goods": _goods(state)},
        plan={
            "total": str(total.amount),
            "goods": _goods_after(state, action),
            "currency": state.get("presentmentCurrencyCode"),
            "transactions": transactions,
            "invoice": balance.amount > 0 and bool(state.get("email")),
        },
    )  # fmt: skip


async def carry_out(run: Run, order: str, action: Change, quoted: Quote, key: str) -> Done:
    """Change the order as it was quoted, then see to the difference."""
    try:
        state = await _state(run, order)
        if _goods(state) != dict(quoted.before["goods"]):
            raise PlatformError("the order was changed meanwhile", retry=False, code="changed")
        session = await _stage(run, order, action)
        if str(_shop(session["totalPriceSet"]).amount) != quoted.plan["total"]:
            raise PlatformError("the order would cost something else now", retry=False, code="changed")
    except UserErrors:
        raise
    except PlatformError as error:
        # Nothing is done before the commit: the whole may begin again.
        raise PlatformError(error.said, retry=error.retry, after=error.after, reauthorize=error.reauthorize,
                            code=error.code) from error  # fmt: skip
    note = f"{action.reason} [{key}]" if action.reason else f"[{key}]"
    told = {"id": session["id"], "notify": action.notify and not quoted.plan["invoice"], "note": note}
    await run("EditCommit", told)
    return await _settle_difference(run, order, action, quoted, key)


async def settle(run: Run, order: str, action: Change, quoted: Quote, key: str) -> Done | None:
    """After an answer was lost: the goods of the order say whether the commit arrived. The rest may be repeated."""
    state = await _state(run, order)
    if _goods(state) != dict(quoted.plan["goods"]):
        return None
    return await _settle_difference(run, order, action, quoted, key)


async def _settle_difference(run: Run, order: str, action: Change, quoted: Quote, key: str) -> Done:
    """The order is changed. What fails from here on is tried again: it never undoes the change."""
    try:
        return await _difference(run, order, action, quoted, key)
    except UserErrors as error:
        if quoted.amount is None:
            return Done(order, detail=error.said)
        raise PlatformError(
            f"The order is changed; its difference did not go back: {error.said}", retry=False, code=error.code,
            lost=True,
        ) from error  # fmt: skip
    except PlatformError as error:
        raise PlatformError(error.said, retry=error.retry, after=error.after, reauthorize=error.reauthorize,
                            code=error.code, lost=True) from error  # fmt: skip


async def _difference(run: Run, order: str, action: Change, quoted: Quote, key: str) -> Done:
    if quoted.amount is not None:
        told = {
            "orderId": order, "note": action.reason or None, "notify": action.notify,
            "currency": quoted.plan["currency"], "transactions": quoted.plan["transactions"],
        }  # fmt: skip
        made = (await run("RefundCreate", {"input": told, "key": key}))["refundCreate"]["refund"]
        if made is None:
            raise PlatformError("Shopify did not say what became of it", retry=True, code="no_payload", lost=True)
        return Done(order, amount=_shop(made["totalRefundedSet"]))
    if quoted.plan["invoice"]:
        try:
            await run("OrderInvoice", {"id": order})
        except UserErrors as error:
            # The order is changed all the same, and its page says where the rest is paid.
            return Done(order, detail=error.said)
    return Done(order)


async def _state(run: Run, order: str) -> dict[str, Any]:
    found: dict[str, Any] | None = (await run("EditState", {"id": order}))["order"]
    if found is None:
        raise PlatformError("Shopify has no such order, or does not show it", retry=False, code="order_gone")
    return found


async def _stage(run: Run, order: str, action: Change) -> dict[str, Any]:
    """A session with the changes in it; nothing of the order is changed."""
    session = (await run("EditBegin", {"id": order}))["orderEditBegin"]["calculatedOrder"]
    id = session["id"]
    held = {node["id"]: int(node["quantity"]) for node in session["lineItems"]["nodes"]}
    for one in action.lines:
        # A line of the session has the number of the order's line.
        line = one.line_external_id.replace("/LineItem/", "/CalculatedLineItem/")
        keeps = 0 if one.variant_external_id else one.quantity
        if held.get(line) != keeps:
            asked = {"id": id, "line": line, "quantity": keeps}
            session = (await run("EditSetQuantity", asked))["orderEditSetQuantity"]["calculatedOrder"]
        if one.variant_external_id and one.quantity:
            asked = {"id": id, "variant": one.variant_external_id, "quantity": one.quantity}
            session = (await run("EditAddVariant", asked))["orderEditAddVariant"]["calculatedOrder"]
    return dict(session)


def _differs(one: Any, line: Mapping[str, Any] | None) -> bool:
    if line is None:
        return True
    same = one.variant_external_id in ("", (line.get("variant") or {}).get("id"))
    return not same or one.quantity != int(line["currentQuantity"])


def _becomes(action: Change, id: str, held: int) -> int:
    return next((one.quantity for one in action.lines if one.line_external_id == id), held)


def _variant(line: Mapping[str, Any]) -> str:
    # What is no product of the catalogue is told apart by its line.
    return str((line.get("variant") or {}).get("id") or line["id"])


def _goods(state: Mapping[str, Any]) -> dict[str, int]:
    """How many of each variant the order holds now."""
    found: Counter[str] = Counter()
    for line in state["lineItems"]["nodes"]:
        found[_variant(line)] += int(line["currentQuantity"])
    return {variant: count for variant, count in sorted(found.items()) if count}


def _goods_after(state: Mapping[str, Any], action: Change) -> dict[str, int]:
    found = Counter(_goods(state))
    lines = {line["id"]: line for line in state["lineItems"]["nodes"]}
    for one in action.lines:
        line = lines[one.line_external_id]
        found[_variant(line)] -= int(line["currentQuantity"])
        found[one.variant_external_id or _variant(line)] += one.quantity
    return {variant: count for variant, count in sorted(found.items()) if count}


# Money


def _parse(told: Mapping[str, Any]) -> Money:
    return parse(str(told["amount"]), str(told["currencyCode"]))[0]


def _shop(bag: Mapping[str, Any]) -> Money:
    return _parse(bag["shopMoney"])


def _minus(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Money]:
    return {
        side: Money(
            _parse(one[side]).amount - _parse(other[side]).amount,
            _parse(one[side]).currency,
            _parse(one[side]).exponent,
        )
        for side in ("shopMoney", "presentmentMoney")
    }


def _both(bag: Mapping[str, Any], more: Mapping[str, Money]) -> tuple[Money, Money]:
    """What is outstanding with what the change adds: in the shop's currency, and in the customer's."""
    sides = []
    for side in ("shopMoney", "presentmentMoney"):
        held = _parse(bag[side])
        sides.append(Money(held.amount + more[side].amount, held.currency, held.exponent))
    return sides[0], sides[1]


def _suggested(state: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (state.get("suggestedRefund") or {}).get("suggestedTransactions") or ()


def _gateways(state: Mapping[str, Any]) -> list[str]:
    return [str(one.get("formattedGateway") or one.get("gateway") or "") for one in _suggested(state)]


def _back(order: str, state: Mapping[str, Any], minor: int, like: Money) -> list[dict[str, Any]]:
    """So much of what was paid, by the payments it was made with, in the customer's currency."""
    found, left = [], minor
    for one in _suggested(state):
        most = _parse(one["amountSet"]["presentmentMoney"]).amount
        take = min(left, most)
        if take <= 0:
            continue
        left -= take
        found.append(
            {
                "orderId": order,
                "kind": "REFUND",
                "gateway": one["gateway"],
                "amount": str(Money(take, like.currency, like.exponent).decimal()),
                "parentId": (one.get("parentTransaction") or {}).get("id"),
            }
        )
    return found
