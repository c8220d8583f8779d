"""Shopify's answers about returns in our words, and what it is asked for in its own. Pure.

Amounts are in the currency that the customer was charged in (presentment, platforms.md A5.4); a line's price is taken
before and its discounts after, because `discountedTotalSet` leaves the order's own discounts out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from plugin.kernel.money import Money, parse
from plugin.return_desk import (
    Disposed,
    Disposition,
    OpenReturn,
    Paid,
    ReturnableLine,
    ReturnableOrder,
    ReturnPart,
    Shipped,
    Sign,
    marked,
)

Node = Mapping[str, Any]

NOTE_LIMIT: Final = 255
CUSTOMER_NOTE_LIMIT: Final = 300
DECLINE_LIMIT: Final = 500
DISPOSITIONS: Final[Mapping[Disposition, str]] = {
    Disposition.RESTOCK: "RESTOCKED",
    Disposition.DAMAGED: "NOT_RESTOCKED",
    Disposition.MISSING: "MISSING",
}
DECLINED: Final[Mapping[str, str]] = {"final_sale": "FINAL_SALE", "too_late": "RETURN_PERIOD_ENDED"}
MOVED: Final = frozenset({"SUCCESS", "PENDING", "AWAITING_RESPONSE", "UNKNOWN"})
"""Statuses of a refund's transaction with which the money moves, or may."""
_PAYING: Final = frozenset({"SALE", "CAPTURE"})
_TRYING: Final = frozenset({"SALE", "AUTHORIZATION"})
_FAILED: Final = frozenset({"FAILURE", "ERROR"})
_SECOND_LOOK: Final = frozenset({"CANCEL", "INVESTIGATE"})
"""https://shopify.dev/docs/api/admin-graphql/latest/enums/OrderRiskRecommendationResult"""
# Our words for reasons that Shopify's library has under another handle; a handle of its own is taken as it is.
_HANDLES: Final[Mapping[str, str]] = {
    "too_small": "size-too-small", "too_large": "size-too-large", "wrong_item": "wrong-item",
    "not_as_described": "not-as-described", "damaged": "damaged-or-defective", "defective": "damaged-or-defective",
    "changed_mind": "changed-my-mind", "late": "arrived-late", "colour": "color",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """So many of a parcel's line that may go back."""

    sent: str
    line: str
    quantity: int


class Changed(ValueError):
    """What is asked for does not fit what Shopify has (any more)."""


# --- reading an order -----------------------------------------------------------------------------------------------


def order(head: Node, lines: Iterable[Node], units: Sequence[Unit]) -> ReturnableOrder:
    """An order with everything that a policy asks about."""
    currency = str(head["presentmentCurrencyCode"])
    nothing = parse("0", currency)[0]
    included = bool(head.get("taxesIncluded"))
    delivery, gone, _ = _delivery(head)
    shipped = _shipped(head)
    may = {line: sum(unit.quantity for unit in units if unit.line == line) for line in {unit.line for unit in units}}
    customer = head.get("customer") or {}
    address = head.get("shippingAddress") or head.get("billingAddress") or {}
    paid = _sum((_charged(one["amountSet"]) for one in head["transactions"] if _pays(one)), nothing)
    return ReturnableOrder(
        external_id=str(head["id"]),
        name=str(head["name"]),
        placed_at=_time(head["processedAt"]) or datetime.fromtimestamp(0, UTC),
        paid=paid,
        refunded=_charged(head["totalRefundedSet"]),
        delivery=delivery,
        delivery_gone=gone,
        lines=tuple(
            _line(line, nothing, included=included, returnable=may.get(line["id"], 0),
                  shipped=tuple(shipped.get(line["id"], ())))
            for line in lines
        ),
        payments=tuple(Paid(one.gateway, one.left, one.by_hand) for one in payments(head)),
        country=str(address.get("countryCodeV2") or ""),
        customer_external_id=str(customer.get("id") or ""),
        customer_tags=tuple(customer.get("tags") or ()),
        cancelled=bool(head.get("cancelledAt")),
        store_credit=bool(customer),
        signs=tuple(_signs(head)),
        risk_words=tuple(_risk_words(head)),
        failed_payments=sum(one["kind"] in _TRYING and one["status"] in _FAILED for one in head["transactions"]),
    )  # fmt: skip


def _signs(head: Node) -> Iterator[Sign]:
    risk = head.get("risk") or {}
    levels = {one["riskLevel"] for one in risk.get("assessments") or ()}
    if risk.get("recommendation") in _SECOND_LOOK or "HIGH" in levels:
        yield Sign.RISK
    # Whatever came of it but for a shop that was right, the bank gave the money back, or may.
    if any(one["status"] != "WON" for one in head.get("disputes") or ()):
        yield Sign.DISPUTE
    billed, sent = ((head.get(name) or {}).get("countryCodeV2") for name in ("billingAddress", "shippingAddress"))
    if billed and sent and billed != sent:
        yield Sign.COUNTRIES


def _risk_words(head: Node) -> Iterator[str]:
    """What speaks against an order, in the words of whoever assessed it: at most five, each once."""
    assessed = (head.get("risk") or {}).get("assessments") or ()
    told = [str(fact["description"]) for one in assessed for fact in one["facts"] if fact["sentiment"] == "NEGATIVE"]
    return islice(dict.fromkeys(told), 5)


def _delivery(head: Node) -> tuple[Money, Money, Money]:
    """What was paid for delivery with its taxes, what of that went back, and its price as the shop writes prices."""
    nothing = parse("0", str(head["presentmentCurrencyCode"]))[0]
    whole = gone = price = nothing
    for line in _nodes(head.get("shippingLines")):
        told = _charged(line["discountedPriceSet"])
        price += told
        whole += _full(told, _sum(_taxes(line), nothing), included=bool(head.get("taxesIncluded")))
    for refund in head.get("refunds") or ():
        for line in _nodes(refund.get("refundShippingLines")):
            gone += _charged(line["subtotalAmountSet"]) + _charged(line["taxAmountSet"])
    return whole, gone, price


def shipping_refund(head: Node, wanted: Money | None) -> dict[str, Any] | None:
    """How Shopify is told to give so much back for delivery. It adds the taxes where prices come without them."""
    if wanted is None or wanted.amount <= 0:
        return None
    whole, gone, price = _delivery(head)
    if wanted.amount >= whole.amount - gone.amount:
        return {"fullRefund": True}
    part = wanted.amount * price.amount // whole.amount
    return {"shippingRefundAmount": money(Money(part, wanted.currency, wanted.exponent))}


def _line(
    line: Node, nothing: Money, *, included: bool, returnable: int, shipped: tuple[Shipped, ...]
) -> ReturnableLine:
    off = _sum((_charged(one["allocatedAmountSet"]) for one in line.get("discountAllocations") or ()), nothing)
    tax = _sum(_taxes(line), nothing)
    product = line.get("product") or {}
    quantity = int(line["quantity"])
    left = min(int(line["currentQuantity"]), int(line["refundableQuantity"]))
    return ReturnableLine(
        external_id=str(line["id"]),
        title=str(line.get("title") or ""),
        quantity=quantity,
        gone=max(0, quantity - left),
        returnable=returnable,
        paid=_full(_charged(line["originalTotalSet"]) - off, tax, included=included),
        tax=tax,
        variant_title=str(line.get("variantTitle") or ""),
        sku=str(line.get("sku") or ""),
        image_url=str((line.get("image") or {}).get("url") or ""),
        product_external_id=str(product.get("id") or ""),
        variant_external_id=str((line.get("variant") or {}).get("id") or ""),
        product_types=tuple(filter(None, (str(product.get("productType") or ""),))),
        vendor=str(line.get("vendor") or ""),
        tags=tuple(product.get("tags") or ()),
        collections=tuple(str(one["handle"]) for one in _nodes(product.get("collections"))),
        gift_card=bool(line.get("isGiftCard")),
        needs_shipping=bool(line.get("requiresShipping", True)),
        bundle=str((line.get("lineItemGroup") or {}).get("id") or ""),
        shipped=shipped,
    )


def _shipped(head: Node) -> dict[str, list[Shipped]]:
    found: dict[str, list[Shipped]] = {}
    for parcel in head.get("fulfillments") or ():
        if parcel["status"] != "SUCCESS":
            continue
        scans = [one for one in _nodes(parcel.get("events")) if one["status"] == "DELIVERED"]
        delivered = parcel.get("deliveredAt") or (scans[0]["happenedAt"] if scans else None)
        for sent in _nodes(parcel["fulfillmentLineItems"]):
            made = Shipped(
                str(sent["id"]), int(sent["quantity"]), _time(parcel.get("createdAt")), _time(delivered)
            )  # fmt: skip
            found.setdefault(str(sent["lineItem"]["id"]), []).append(made)
    return found


def units(pages: Iterable[Node]) -> list[Unit]:
    """What `returnableFulfillments` says, parcel by parcel."""
    return [
        Unit(str(sent["fulfillmentLineItem"]["id"]), str(sent["fulfillmentLineItem"]["lineItem"]["id"]),
             int(sent["quantity"]))
        for parcel in pages
        for sent in _nodes(parcel["returnableFulfillmentLineItems"])
    ]  # fmt: skip


# --- payments -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payment:
    """A transaction that brought money, with what of it can still go back."""

    id: str
    gateway: str
    left: Money
    by_hand: bool


def payments(head: Node) -> list[Payment]:
    """The transactions of an order that can be refunded, as its refunds left them.

    What became store credit went back from none of them, and is not there to go back again: together they hold no more
    than what was paid without all that was refunded.
    """
    told = list(head["transactions"])
    back: dict[str, int] = {}
    for one in told:
        parent = (one.get("parentTransaction") or {}).get("id")
        if one["kind"] == "REFUND" and one["status"] in MOVED and parent:
            back[parent] = back.get(parent, 0) + _charged(one["amountSet"]).amount
    found = []
    for one in told:
        if _pays(one):
            amount = _charged(one["amountSet"])
            left = Money(max(0, amount.amount - back.get(str(one["id"]), 0)), amount.currency, amount.exponent)
            gateway = str(one.get("formattedGateway") or one.get("gateway") or "")
            found.append(Payment(str(one["id"]), gateway, left, bool(one.get("manualPaymentGateway"))))
    paid = sum(_charged(one["amountSet"]).amount for one in told if _pays(one))
    over = sum(one.left.amount for one in found) - max(0, paid - _charged(head["totalRefundedSet"]).amount)
    for place in reversed(range(len(found))):
        held = found[place].left
        cut = min(held.amount, max(0, over))
        over -= cut
        found[place] = replace(found[place], left=Money(held.amount - cut, held.currency, held.exponent))
    return found


def _pays(transaction: Node) -> bool:
    return transaction["kind"] in _PAYING and transaction["status"] == "SUCCESS"


def spread(amount: Money, sources: Sequence[Payment], first: Sequence[str]) -> list[tuple[Payment, Money]]:
    """So much from each payment: those that Shopify suggests before the others, none beyond what is left of it.

    Raises Changed when all of them together do not hold that much.
    """
    rank = {id: place for place, id in enumerate(first)}
    taken, wanted = [], amount.amount
    for source in sorted(sources, key=lambda one: rank.get(one.id, len(rank))):
        part = min(wanted, source.left.amount)
        if part > 0:
            taken.append((source, Money(part, amount.currency, amount.exponent)))
            wanted -= part
    if wanted:
        raise Changed("more than is left of what was paid")
    return taken


# --- opening --------------------------------------------------------------------------------------------------------


def note(number: str, words: str, limit: int) -> str:
    """Our number and what the shopper wrote, where a person reads it and `is_ours` finds it."""
    return f"{number}: {words}"[:limit].rstrip() if words else number


def is_ours(line: Node, number: str) -> bool:
    """Whether a line of a return carries our number."""
    told = (str(line.get("customerNote") or ""), str(line.get("returnReasonNote") or ""))
    return any(text == number or text.startswith(f"{number}:") for text in told)


def parts(found: Node) -> tuple[ReturnPart, ...]:
    """What goes back in a return that somebody made at Shopify, with what its customer or the merchant wrote."""
    made = []
    for line in _nodes(found["returnLineItems"]):
        sold = (line.get("fulfillmentLineItem") or {}).get("lineItem") or {}
        words = str(line.get("customerNote") or line.get("returnReasonNote") or "")
        made.append(ReturnPart(str(sold.get("id") or ""), int(line["quantity"]), words=words))
    return tuple(made)


def reason(code: str, handles: Mapping[str, str]) -> str | None:
    """Shopify's id of one of our reasons: `handles` are those of its library."""
    return handles.get(code.replace("_", "-")) or handles.get(_HANDLES.get(code, "other")) or handles.get("other")


def opening(
    action: OpenReturn, order: str, available: Sequence[Unit], lines: Iterable[ReturnableLine],
    handles: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """The input of `returnCreate` or `returnRequest`. Raises Changed for units that cannot go back."""
    rest = [unit.quantity for unit in available]
    percent = _percentage(action, {line.external_id: line for line in lines})
    wanted: list[dict[str, Any]] = []
    for part in action.parts:
        left = part.quantity
        for place, unit in enumerate(available):
            take = min(left, rest[place]) if unit.line == part.line_external_id else 0
            if take > 0:
                rest[place] -= take
                left -= take
                wanted.append(_opened(action, part, unit.sent, take, percent, handles))
        if left or part.quantity <= 0:
            raise Changed("these goods cannot go back any more")
    made: dict[str, Any] = {"orderId": order, "returnLineItems": wanted}
    if action.shipping_fee is not None and action.shipping_fee.amount > 0:
        made["returnShippingFee"] = {"amount": money(action.shipping_fee)}
    if action.exchange:
        made["exchangeLineItems"] = [
            {"variantId": one.variant_external_id, "quantity": one.quantity} for one in action.exchange
        ]
    return made


def _opened(
    action: OpenReturn, part: ReturnPart, sent: str, quantity: int, percent: float, handles: Mapping[str, str]
) -> dict[str, Any]:
    made: dict[str, Any] = {"fulfillmentLineItemId": sent, "quantity": quantity}
    if known := reason(part.reason, handles):
        made["returnReasonDefinitionId"] = known
    if percent:
        made["restockingFee"] = {"percentage": percent}
    if action.approved:
        made["returnReasonNote"] = note(action.number, part.words, NOTE_LIMIT)
    else:
        made["customerNote"] = note(action.number, part.words, CUSTOMER_NOTE_LIMIT)
    return made


def _percentage(action: OpenReturn, lines: Mapping[str, ReturnableLine]) -> float:
    """Shopify takes a restocking fee as a share of the goods alone, so an amount is one of all of them together."""
    fee = action.restocking_fee
    if fee is None or fee.amount <= 0:
        return 0.0
    worth = Decimal(0)
    for part in action.parts:
        line = lines.get(part.line_external_id)
        if line is not None and line.quantity:
            worth += Decimal(line.paid.amount) * part.quantity / line.quantity
    return float(round(min(Decimal(100), Decimal(fee.amount) * 100 / worth), 4)) if worth else 0.0


# --- a return that is there -----------------------------------------------------------------------------------------


def lines_to_process(state: Node, parts: Iterable[ReturnPart]) -> list[dict[str, Any]]:
    """The return's own lines for these parts. Raises Changed for more than waits to be processed."""
    return [{"id": id, "quantity": quantity} for id, _, quantity in _taken(state, parts)]


def _taken(state: Node, parts: Iterable[ReturnPart]) -> list[tuple[str, str, int]]:
    """(line of the return, line of the parcel, so many)."""
    rest: dict[str, int] = {}
    found: list[tuple[str, str, int]] = []
    for part in parts:
        left = part.quantity
        for line in _nodes(state["returnLineItems"]):
            sent = line.get("fulfillmentLineItem") or {}
            if (sent.get("lineItem") or {}).get("id") != part.line_external_id:
                continue
            may = rest.setdefault(line["id"], int(line["processableQuantity"]))
            take = min(left, may)
            if take > 0:
                rest[line["id"]] -= take
                left -= take
                found.append((str(line["id"]), str(sent["id"]), take))
        if left or part.quantity <= 0:
            raise Changed("these goods were processed already, or are not part of the return")
    return found


def repeat_is_refused(state: Node, lines: Iterable[Mapping[str, Any]]) -> bool:
    """Whether Shopify itself would refuse to process these lines a second time: nothing would be left of one."""
    may = {line["id"]: int(line["processableQuantity"]) for line in _nodes(state["returnLineItems"])}
    return any(2 * int(line["quantity"]) > may.get(line["id"], 0) for line in lines)


def exchange_to_process(state: Node) -> list[dict[str, Any]]:
    """Everything of the exchange that was not released yet."""
    return [
        {"id": one["id"], "quantity": int(one["processableQuantity"])}
        for one in _nodes(state["exchangeLineItems"])
        if int(one["processableQuantity"]) > 0
    ]


def disposals(parcels: Node, goods: Iterable[Disposed], shelves: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """(line of the parcel, what became of it) for each. `shelves`: the place each line of a parcel was sent from.

    Raises Changed for more than waits to be looked at.
    """
    lines = [line for parcel in _nodes(parcels["reverseFulfillmentOrders"]) for line in _nodes(parcel["lineItems"])]
    rest = [int(line["totalQuantity"]) - sum(int(one["quantity"]) for one in line["dispositions"]) for line in lines]
    found: list[tuple[str, dict[str, Any]]] = []
    for good in goods:
        left = good.quantity
        for place, line in enumerate(lines):
            sent = line.get("fulfillmentLineItem") or {}
            take = min(left, rest[place]) if (sent.get("lineItem") or {}).get("id") == good.line_external_id else 0
            if take <= 0:
                continue
            rest[place] -= take
            left -= take
            made = {"reverseFulfillmentOrderLineItemId": line["id"], "quantity": take,
                    "dispositionType": DISPOSITIONS[good.disposition]}  # fmt: skip
            if good.disposition is Disposition.RESTOCK:
                made["locationId"] = shelves.get(str(sent["id"]))
            found.append((str(sent["id"]), made))
        if left or good.quantity <= 0:
            raise Changed("these goods were looked at already, or are not part of the return")
    return found


def disposed(parcels: Node) -> int:
    """How many units of a return somebody has looked at."""
    return sum(
        int(one["quantity"])
        for parcel in _nodes(parcels["reverseFulfillmentOrders"])
        for line in _nodes(parcel["lineItems"])
        for one in line["dispositions"]
    )


def with_dispositions(
    state: Node, lines: Sequence[dict[str, Any]], found: Iterable[tuple[str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The lines to process with what became of their goods."""
    lines_there = _nodes(state["returnLineItems"])
    sent_of = {line["id"]: (line.get("fulfillmentLineItem") or {}).get("id") for line in lines_there}
    told = list(found)
    made = []
    for line in lines:
        own = [what for sent, what in told if sent == sent_of[line["id"]]]
        told = [one for one in told if one[0] != sent_of[line["id"]]]
        made.append({**line, "dispositions": own} if own else line)
    return made


def shelves(head: Node) -> dict[str, str]:
    """Where each line of a parcel was sent from."""
    return {
        str(sent["id"]): str(parcel["location"]["id"])
        for parcel in head.get("fulfillments") or ()
        if parcel.get("location")
        for sent in _nodes(parcel["fulfillmentLineItems"])
    }


# --- money that went back -------------------------------------------------------------------------------------------


def own_refund(refunds: Iterable[Node], known: Iterable[str], key: str, amount: Money) -> Node | None:
    """The refund that one step made: by our mark, else by its amount among those that came since.

    Taking somebody else's of the same amount for ours only keeps money from moving twice.
    """
    told = [(one, marked(str(one.get("note") or ""))) for one in refunds]
    for one, mark in told:
        if mark is not None and mark[1] == key:
            return one
    before = set(known)
    for one, mark in told:
        if mark is None and one["id"] not in before and amount.amount and _charged(one["totalRefundedSet"]) == amount:
            return one
    return None


def moved(refund: Node) -> tuple[Money, str]:
    """What really moved, and what a payment provider refused of it: Shopify's record is there all the same."""
    transactions = _nodes(refund["transactions"])
    failed = [one for one in transactions if one["status"] not in MOVED]
    total = _charged(refund["totalRefundedSet"])
    if failed:
        nothing = Money(0, total.currency, total.exponent)
        total = _sum((_charged(one["amountSet"]) for one in transactions if one["status"] in MOVED), nothing)
    return total, ", ".join(f"{one['gateway']}: {str(one['status']).lower()}" for one in failed)


def new_credit(customer: Node, known: Iterable[str], amount: Money) -> str:
    """The id of store credit of exactly this amount that was not there before, or nothing."""
    before = set(known)
    for id, value in credits_of(customer):
        if id not in before and value == amount:
            return id
    return ""


def credits_of(customer: Node) -> list[tuple[str, Money]]:
    """Each time that the customer was given store credit; what was spent has no id here."""
    return [
        (str(one["id"]), _money(one["amount"]))
        for account in _nodes(customer["storeCreditAccounts"])
        for one in _nodes(account["transactions"])
        if one.get("id")
    ]


# --- words ----------------------------------------------------------------------------------------------------------


def money(amount: Money) -> dict[str, str]:
    """A MoneyInput."""
    return {"amount": str(amount.decimal()), "currencyCode": amount.currency}


def charged(bag: Any) -> Money | None:
    """The customer's side of a MoneyBag, where there is one."""
    return _charged(bag) if bag else None


def _charged(bag: Node) -> Money:
    return _money(bag["presentmentMoney"])


def _money(value: Node) -> Money:
    return parse(str(value["amount"]), str(value["currencyCode"]))[0]


def _sum(parts: Iterable[Money], nothing: Money) -> Money:
    total = nothing
    for part in parts:
        total += part
    return total


def _taxes(line: Node) -> list[Money]:
    return [_charged(one["priceSet"]) for one in line.get("taxLines") or ()]


def _full(price: Money, tax: Money, *, included: bool) -> Money:
    return price if included else price + tax


def _nodes(connection: Any) -> list[Any]:
    return list((connection or {}).get("nodes") or ())


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(UTC) if text else None
