"""Other goods in an order at WooCommerce: what it would cost, doing it, and finding out whether it was done.

WooCommerce previews nothing and keeps no payment apart from the order's total. So what was paid stays the order's
total: units that go are a refund of their line, a line that becomes another one keeps what was paid for it and what is
too much of that is refunded, and what is missing is an order of its own with a page to pay it. Only an order that was
never paid is simply changed. Sums are integers in the shop's own decimals; taxes follow the line in its own measure.

Nothing here has an idempotency key. What we make carries ours, the goods of the order say whether they were changed,
and what left no trace is never sent again (docs/decisions/order-actions.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from integrations.woocommerce import gateways, mapping, return_mapping
from integrations.woocommerce.client import StoreClient
from integrations.woocommerce.refund_mapping import minor, places, spelled
from plugin.kernel.money import Money, parse
from plugin.platform import Change, Done, LineChange, PlatformError, Quote, QuotedLine

Json = Mapping[str, Any]

MARK: Final = "_ahlan_change"
"""Metadata of an order, a refund or the order of a difference, with our key."""
_EXPLAINED: Final = (500,)
_CLOSED: Final = {
    "cancelled": "cancelled_already", "refunded": "refunded_already", **dict.fromkeys(mapping.SENT, "sent_already"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Price:
    """What a line costs: without tax, and its taxes by their rates."""

    total: int
    taxes: Mapping[int, int]

    @property
    def value(self) -> int:
        """With its taxes."""
        return self.total + sum(self.taxes.values())


async def quote(client: StoreClient, order: Json, action: Change, *, gateway: str, automatic: bool) -> Quote:
    """What the order would cost with these goods, and what of it is to be paid or goes back."""
    closed = _CLOSED.get(str(order["status"]))
    if closed:
        return Quote(refusal=closed)
    held = {str(line["id"]): line for line in order.get("line_items") or ()}
    if any(one.line_external_id not in held for one in action.lines):
        return Quote(refusal="changed")
    changes = [one for one in action.lines if _differs(one, held[one.line_external_id])]
    if not changes:
        return Quote(refusal="nothing_left")
    if sum(_left(line, changes) for line in held.values()) <= 0:
        # An order of nothing is a cancelled one.
        return Quote(refusal="nothing_stays")
    if order.get("refunds"):
        # Lines that were given back in part no longer say what was paid for the rest.
        return Quote(refusal="refunded_partly")
    decimals, currency = places(order), str(order["currency"])
    paid = bool(order.get("date_paid_gmt"))
    priced = [await _priced(client, order, one, held[one.line_external_id], decimals) for one in changes]
    if paid and len({one.difference > 0 for one in priced if one.difference}) > 1:
        # What was paid stays the order's total: what one line brings cannot pay for another.
        return Quote(refusal="one_by_one")
    difference = sum(one.difference for one in priced)
    total = minor(order["total"], decimals)

    def money(amount: int) -> Money:
        return return_mapping.money_of(amount, decimals, currency)

    back = -difference if paid and difference < 0 else 0
    owed = difference if paid else total + difference if _waits(order) else 0
    lines = tuple(
        QuotedLine(id, str(line["name"]), int(line["quantity"]), _left(line, changes)) for id, line in held.items()
    )
    return Quote(
        amount=money(back) if back else None,
        owed=money(owed) if owed > 0 else None,
        gateway=gateway if back else "",
        by_hand=bool(back) and not automatic,
        lines=lines,
        notes=("store_mails",),
        before={"goods": _goods(order), "total": spelled(total, decimals)},
        plan={
            "put": [part for one in priced for part in one.put(paid=paid, decimals=decimals)],
            "goods": _goods_after(order, priced, paid=paid),
            "back": [one.back(decimals) for one in priced if paid and one.difference < 0],
            "amount": spelled(back, decimals) if back else "",
            "owed": spelled(difference, decimals) if paid and difference > 0 else "",
            "net": spelled(sum(one.now.total - one.was.total for one in priced), decimals),
            "api_refund": automatic,
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Priced:
    """A line that changes: what was paid for it, what it costs then. `product` is what is there instead."""

    line: Json
    count: int
    was: Price
    now: Price
    product: Json | None = None

    @property
    def difference(self) -> int:
        """What it costs more, with taxes."""
        return self.now.value - self.was.value

    def refunded(self, *, paid: bool) -> bool:
        """Units that go of a paid line are given back as what they are: the line itself stays."""
        return paid and self.product is None and self.count < int(self.line["quantity"])

    def put(self, *, paid: bool, decimals: int) -> list[dict[str, Any]]:
        """What is written of it. A paid line keeps what was paid."""
        if self.refunded(paid=paid):
            return []
        kept = spelled((self.was if paid else self.now).total, decimals)
        id = int(self.line["id"])
        worth = {"quantity": self.count, "subtotal": kept, "total": kept}
        if self.product is None:
            return [{"id": id, **worth} if self.count else {"id": id, "quantity": 0}]
        return [{"id": id, "quantity": 0}, *([{**self.product, **worth}] if self.count else [])]

    def back(self, decimals: int) -> dict[str, Any]:
        """The line of a refund: what was paid above what it costs then. Without its id where the line is new."""
        units = 0 if self.product is not None else int(self.line["quantity"]) - self.count
        made: dict[str, Any] = {"refund_total": spelled(self.was.total - self.now.total, decimals), "quantity": units}
        if self.product is None:
            made["id"] = int(self.line["id"])
        if self.was.taxes:
            made["refund_tax"] = [{"id": tax, "refund_total": spelled(value - self.now.taxes.get(tax, 0), decimals)}
                                  for tax, value in self.was.taxes.items()]  # fmt: skip
        return made


def _differs(one: LineChange, line: Json) -> bool:
    return one.variant_external_id not in ("", _variant(line)) or one.quantity != int(line["quantity"])


def _left(line: Json, changes: Sequence[LineChange]) -> int:
    return next((one.quantity for one in changes if one.line_external_id == str(line["id"])), int(line["quantity"]))


def _waits(order: Json) -> bool:
    return bool(order.get("needs_payment")) or str(order["status"]) in ("pending", "failed")


async def _priced(client: StoreClient, order: Json, one: LineChange, line: Json, decimals: int) -> Priced:
    """What a line costs then: its own units in their measure, another variation at today's price and its discount."""
    was = _price(line, decimals)
    if one.variant_external_id in ("", _variant(line)):
        total = _half_up(Decimal(was.total) * one.quantity / int(line["quantity"]))
        return Priced(line, one.quantity, was, Price(total, _taxes(was, total)))
    product, each = await _offered(client, one.variant_external_id, line, decimals)
    if order.get("prices_include_tax") and was.value:
        each = _half_up(Decimal(each) * was.total / was.value)
    full = minor(line.get("subtotal"), decimals)
    total = _half_up(Decimal(each * one.quantity) * (Decimal(was.total) / full if full else Decimal(1)))
    return Priced(line, one.quantity, was, Price(total, _taxes(was, total)), product)


def _half_up(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_UP))


def _price(line: Json, decimals: int) -> Price:
    taxes = {int(tax["id"]): minor(tax.get("total"), decimals) for tax in line.get("taxes") or ()}
    return Price(minor(line.get("total"), decimals), taxes)


def _taxes(was: Price, total: int) -> dict[int, int]:
    """The taxes of another total, in the measure of what was."""
    return {tax: _half_up(Decimal(value) * total / was.total) if was.total else 0 for tax, value in was.taxes.items()}


async def _offered(client: StoreClient, variant: str, line: Json, decimals: int) -> tuple[dict[str, int], int]:
    """A variation of the same product that can be had, and what one costs as the shop enters prices."""
    product = int(line["product_id"])
    found: Json = (await client.get(f"products/{product}/variations/{int(variant)}")).body
    if not found.get("purchasable", True) or str(found.get("stock_status")) == "outofstock":
        raise PlatformError(f"{found.get('name') or variant}: out of stock", retry=False, code="out_of_stock")
    return {"product_id": product, "variation_id": int(variant)}, minor(found.get("price"), decimals)


def _variant(line: Json) -> str:
    return str(line.get("variation_id") or line.get("product_id") or 0)


def _goods(order: Json) -> dict[str, int]:
    """How many of each product or variation the order's lines hold."""
    found: Counter[str] = Counter()
    for line in order.get("line_items") or ():
        found[_variant(line)] += int(line["quantity"])
    return {variant: count for variant, count in sorted(found.items()) if count}


def _goods_after(order: Json, priced: Sequence[Priced], *, paid: bool) -> dict[str, int]:
    found = Counter(_goods(order))
    for one in priced:
        if one.refunded(paid=paid):
            continue
        found[_variant(one.line)] -= int(one.line["quantity"])
        found[str(one.product["variation_id"]) if one.product is not None else _variant(one.line)] += one.count
    return {variant: count for variant, count in sorted(found.items()) if count}


# Carrying out


async def carry_out(client: StoreClient, order: Json, action: Change, quoted: Quote, key: str) -> Done:
    """Change the order as it was quoted, then see to the difference."""
    decimals = places(order)
    if _goods(order) != dict(quoted.before["goods"]) or order.get("refunds") or (
        spelled(minor(order["total"], decimals), decimals) != quoted.before["total"]
    ):  # fmt: skip
        raise PlatformError("the order was changed meanwhile", retry=False, code="changed")
    if str(order["status"]) in _CLOSED:
        raise PlatformError("the order was sent or ended meanwhile", retry=False, code="changed")
    id = int(order["id"])
    if quoted.plan["put"]:
        told = {"line_items": quoted.plan["put"], "meta_data": [{"key": MARK, "value": key}]}
        order = (await client.put(f"orders/{id}", told)).body
    try:
        return await _difference(client, order, action, quoted, key)
    except PlatformError as error:
        raise _after(error, quoted) from error


def _after(error: PlatformError, quoted: Quote) -> PlatformError:
    """What fails after the goods were changed: it may never be taken for an order that nobody touched."""
    if not quoted.plan["put"]:
        return error
    said = error.said if error.lost else f"The order is changed; its difference is not: {error.said}"
    return PlatformError(said, retry=error.retry, after=error.after, code=error.code, lost=True)


async def settle(client: StoreClient, order: Json, action: Change, quoted: Quote, key: str) -> Done | None:
    """After an answer was lost: what is there of it. Only what was never begun is begun."""
    if quoted.plan["put"] and not _put(order, quoted, key):
        return None
    if quoted.plan["amount"]:
        made = await _refund_of(client, order, quoted, key)
        if made:
            gateways.vouched(made, automatic=bool(quoted.plan["api_refund"]))
        return _done(order, made, quoted) if made else None
    if quoted.plan["owed"]:
        made = await _marked(client, order, key)
        return _owing(made) if made else None
    return Done(str(order["id"]))


def _put(order: Json, quoted: Quote, key: str) -> bool:
    if any(meta.get("key") == MARK and meta.get("value") == key for meta in order.get("meta_data") or ()):
        return True
    # WooCommerce writes metadata last: a request that died half-way leaves the goods without our mark.
    goods = _goods(order)
    return goods == dict(quoted.plan["goods"]) and goods != dict(quoted.before["goods"])


async def _difference(client: StoreClient, order: Json, action: Change, quoted: Quote, key: str) -> Done:
    id, plan = int(order["id"]), quoted.plan
    if plan["amount"]:
        taken = {int(line["id"]) for line in order.get("line_items") or ()}
        told_lines, fresh = [], sorted(taken - {int(line.external_id) for line in quoted.lines})
        for back in plan["back"]:
            # A line that took another's place is new, in the order in which they were written.
            told_lines.append(dict(back) if "id" in back else {**back, "id": fresh.pop(0)})
        told = {
            "amount": plan["amount"], "line_items": told_lines, "reason": action.reason,
            "api_refund": plan["api_refund"], "api_restock": True, "meta_data": [{"key": MARK, "value": key}],
        }  # fmt: skip
        with gateways.asked():
            made = (await client.post(f"orders/{id}/refunds", told, said=_EXPLAINED)).body
        return _done(order, made, quoted)
    if plan["owed"]:
        return _owing(await _ask_for(client, order, plan, key))
    return Done(str(id))


async def _ask_for(client: StoreClient, order: Json, plan: Json, key: str) -> Json:
    """The order of the difference: a fee, taxed as the shop taxes fees, that waits to be paid."""
    name = f"#{order.get('number') or order['id']}"
    made: Json = (
        await client.post(
            "orders",
            {
                "status": "pending",
                "customer_id": int(order.get("customer_id") or 0),
                "billing": dict(order.get("billing") or {}),
                "fee_lines": [{"name": name, "total": plan["net"], "tax_status": "taxable"}],
                "customer_note": name,
                "meta_data": [{"key": MARK, "value": key}],
            },
        )
    ).body
    try:
        await client.post(f"orders/{int(made['id'])}/actions/send_email", {"template_id": "customer_invoice"})
    except PlatformError:
        # Without an address, or before WooCommerce 9.8: the page to pay is handed over where they asked.
        made = dict(made)
    note = f"{name}: {plan['owed']} {order['currency']} → #{made.get('number') or made['id']}"
    await client.post(f"orders/{int(order['id'])}/notes", {"note": note, "customer_note": False})
    return made


async def _refund_of(client: StoreClient, order: Json, quoted: Quote, key: str) -> Json | None:
    """Our refund: by our mark, else by its amount, since the order had none before."""
    if not order.get("refunds"):
        return None
    found = (await client.get(f"orders/{int(order['id'])}/refunds", per_page=100)).body
    for one in found:
        if any(meta.get("key") == MARK and meta.get("value") == key for meta in one.get("meta_data") or ()):
            return dict(one)
    return next((dict(one) for one in found if str(one["amount"]) == quoted.plan["amount"]), None)


async def _marked(client: StoreClient, order: Json, key: str) -> Json | None:
    """The order of the difference, if it was made."""
    email = str((order.get("billing") or {}).get("email") or "")
    rows = (await client.get("orders", per_page=20, orderby="date", order="desc", search=email or None)).body
    for row in rows:
        if int(row["id"]) != int(order["id"]) and any(
            meta.get("key") == MARK and meta.get("value") == key for meta in row.get("meta_data") or ()
        ):
            return dict(row)
    return None


def _done(order: Json, made: Json, quoted: Quote) -> Done:
    like = quoted.amount
    amount = parse(str(made["amount"]), like.currency, like.exponent)[0] if like else None
    return Done(str(order["id"]), amount=amount)


def _owing(made: Json) -> Done:
    return Done(str(made["id"]), f"#{made.get('number') or made['id']}")
