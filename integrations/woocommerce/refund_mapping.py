"""What can go back of a WooCommerce order, to the minor unit. Pure.

WooCommerce previews nothing and takes any line totals it is given (platforms.md B27), so the sums are ours: what a
line still has is its total without its refunds, the last unit takes the rest that rounding left, and the whole is
never more than what was paid without what went back. Amounts are integers in the shop's own number of decimals.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

Json = Mapping[str, Any]

ITEM, SHIPPING, FEE = "line_items", "shipping_lines", "fee_lines"
_REFUNDED_ITEM: Final = "_refunded_item_id"
CREDIT_META: Final = "_ahlan_credit_"
"""Metadata of an order, by the step that gave store credit: what of each line that was."""


@dataclass(frozen=True, slots=True)
class Part:
    """A line, a delivery or a fee, with what is left of it. `each` and `taxes_each` are of the whole original line."""

    id: int
    kind: str
    title: str
    quantity: int
    total: int
    taxes: Mapping[int, int] = field(default_factory=dict)
    left: int = 0
    total_left: int = 0
    taxes_left: Mapping[int, int] = field(default_factory=dict)

    @property
    def value_left(self) -> int:
        """With its taxes."""
        return self.total_left + sum(self.taxes_left.values())


@dataclass(frozen=True, slots=True)
class Back:
    """What goes back of a part."""

    part: Part
    quantity: int
    total: int
    taxes: Mapping[int, int]

    @property
    def value(self) -> int:
        """With its taxes."""
        return self.total + sum(self.taxes.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """A refund: `amount` moves, made of `parts`. `left` is what could go back at all."""

    amount: int
    left: int
    parts: Sequence[Back]


def places(order: Json) -> int:
    """How many decimals the shop writes."""
    return len(str(order["total"]).partition(".")[2])


def minor(value: object, decimals: int) -> int:
    """An amount in the shop's smallest unit, rounded half up as WooCommerce does. Raises on what is no number."""
    return int(Decimal(str(value or "0")).scaleb(decimals).to_integral_value(ROUND_HALF_UP))


def spelled(amount: int, decimals: int) -> str:
    """An amount as WooCommerce writes it."""
    return str(Decimal(amount).scaleb(-decimals).quantize(Decimal(1).scaleb(-decimals)))


def left_of(order: Json, refunds: Sequence[Json]) -> int:
    """What was paid without what went back, as money or as store credit; refunds without lines count too."""
    decimals = places(order)
    gone = sum(minor(one["amount"], decimals) for one in (*refunds, *credits_of(order)))
    return max(0, minor(order["total"], decimals) - gone)


def credits_of(order: Json) -> list[Json]:
    """Store credit that was given for parts of the order, in the shape of refunds: their money is not there any more.

    WooCommerce itself keeps a credit as a refund of units and of no money, beside the coupon.
    """
    found: list[Json] = []
    for meta in order.get("meta_data") or ():
        if str(meta.get("key")).startswith(CREDIT_META) and meta.get("value"):
            told = json.loads(str(meta["value"]))
            found.append({"amount": told["amount"], ITEM: [
                {"quantity": 0, "total": f"-{line['total']}", "taxes": [
                    {"id": int(tax), "total": f"-{value}"} for tax, value in line["taxes"].items()
                ], "meta_data": [{"key": _REFUNDED_ITEM, "value": str(line["id"])}]}
                for line in told["lines"]
            ]})  # fmt: skip
    return found


def parts_of(order: Json, refunds: Sequence[Json]) -> list[Part]:
    """Everything of the order that has a price, with what earlier refunds left of it."""
    decimals = places(order)
    gone: dict[int, int] = defaultdict(int)
    money: dict[int, int] = defaultdict(int)
    taxes: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for refund in (*refunds, *credits_of(order)):
        for kind in (ITEM, SHIPPING, FEE):
            for line in refund.get(kind) or ():
                of = refunded_item(line)
                # A refund's own numbers are negative.
                gone[of] -= int(line.get("quantity") or 0)
                money[of] -= minor(line.get("total"), decimals)
                for tax in line.get("taxes") or ():
                    taxes[of][int(tax["id"])] -= minor(tax.get("total"), decimals)
    found = []
    for kind in (ITEM, SHIPPING, FEE):
        for line in order.get(kind) or ():
            id, total = int(line["id"]), minor(line.get("total"), decimals)
            own = {int(tax["id"]): minor(tax.get("total"), decimals) for tax in line.get("taxes") or ()}
            quantity = int(line.get("quantity") or 1) if kind == ITEM else 1
            rest = max(0, quantity - gone[id]) if kind == ITEM else int(total != money[id])
            title = str(line.get("name") or line.get("method_title") or "")
            left = {tax: _rest(whole, taxes[id][tax]) for tax, whole in own.items()}
            found.append(Part(id, kind, title, quantity, total, own, rest, _rest(total, money[id]), left))
    return found


def _rest(whole: int, gone: int) -> int:
    """What is left of an amount, never past nothing: a fee may be below it (a discount)."""
    return max(0, whole - gone) if whole >= 0 else min(0, whole - gone)


def refunded_item(line: Json) -> int:
    """The line of the order that a line of a refund takes from; 0 where it does not say."""
    for meta in line.get("meta_data") or ():
        if meta.get("key") == _REFUNDED_ITEM and str(meta.get("value")).isdecimal():
            return int(meta["value"])
    return 0


def plan(order: Json, refunds: Sequence[Json], *, quantities: Mapping[int, int], shipping: bool, whole: bool) -> Plan:
    """What goes back for so many of each line (by its id), for delivery, or for everything that is left.

    Raises ValueError for more than is left of a line, and for a line that is not there.
    """
    parts, left = parts_of(order, refunds), left_of(order, refunds)
    items = {part.id: part for part in parts if part.kind == ITEM}
    for id, count in quantities.items():
        if id not in items or not 0 <= count <= items[id].left:
            raise ValueError(f"no {count} of line {id} are left")
    taken = []
    for part in parts:
        count = part.left if whole else quantities.get(part.id, 0) if part.kind == ITEM else 0
        if part.kind == SHIPPING and shipping:
            count = part.left
        if count:
            taken.append(_back(part, count))
    total = sum(back.value for back in taken)
    amount = left if whole else min(left, max(0, total))
    return Plan(amount, left, _fitted(taken, amount))


def plan_return(
    order: Json, refunds: Sequence[Json], *, quantities: Mapping[int, int], delivery: int, amount: int
) -> Plan:
    """`amount` in all for these units and `delivery`, which may be more or less than their share of the lines.

    Fees make it less; rounding along the way may make it a little more, as long as the lines hold it. Raises
    ValueError for more units than are left, and for more money than is left of these lines or of the order.
    """
    parts, left = parts_of(order, refunds), left_of(order, refunds)
    items = {part.id: part for part in parts if part.kind == ITEM}
    taken = []
    for id, count in quantities.items():
        if id not in items or not 0 < count <= items[id].left:
            raise ValueError(f"no {count} of line {id} are left")
        taken.append(_back(items[id], count))
    sent = delivery
    for part in parts:
        if part.kind == SHIPPING and sent > 0 and part.value_left > 0:
            back = _some_of(part, min(sent, part.value_left))
            taken.append(back)
            sent -= back.value
    if sent > 0 or not 0 <= amount <= left:
        raise ValueError("more than is left of the order")
    fitted = _fitted(_filled(taken, amount), amount)
    if sum(back.value for back in fitted) != amount:
        raise ValueError("more than is left of these lines")
    return Plan(amount, left, fitted)


def _some_of(part: Part, value: int) -> Back:
    """So much of a part with its taxes, in the measure in which they are left."""
    taxes = {tax: rest * value // part.value_left for tax, rest in part.taxes_left.items()}
    total = min(value - sum(taxes.values()), part.total_left)
    return _filled([Back(part, 1, total, taxes)], value)[0]


def _filled(taken: Sequence[Back], amount: int) -> list[Back]:
    """The same parts with what they are short of `amount`, each up to what is left of it."""
    filled = list(taken)
    short = amount - sum(back.value for back in filled)
    for index, back in enumerate(filled):
        if short <= 0:
            break
        more = min(short, max(0, back.part.total_left - back.total))
        short -= more
        taxes = dict(back.taxes)
        for tax, value in taxes.items():
            extra = min(short, max(0, back.part.taxes_left[tax] - value))
            taxes[tax], short = value + extra, short - extra
        filled[index] = replace(back, total=back.total + more, taxes=taxes)
    return filled


def _back(part: Part, count: int) -> Back:
    if count >= part.left:
        return Back(part, count, part.total_left, dict(part.taxes_left))
    share = {tax: _share(value, count, part.quantity, part.taxes_left[tax]) for tax, value in part.taxes.items()}
    return Back(part, count, _share(part.total, count, part.quantity, part.total_left), share)


def _share(whole: int, count: int, of: int, left: int) -> int:
    exact = (Decimal(whole) * count / of).to_integral_value(ROUND_HALF_UP)
    return min(int(exact), left)


def _fitted(taken: Sequence[Back], amount: int) -> list[Back]:
    """The same parts, made to sum to the amount: an earlier refund of money alone was taken from no line."""
    fitted = list(taken)
    excess = sum(back.value for back in fitted) - amount
    for index in reversed(range(len(fitted))):
        if excess <= 0:
            break
        back = fitted[index]
        cut = min(excess, max(0, back.total))
        excess -= cut
        taxes = dict(back.taxes)
        for tax, value in taxes.items():
            off = min(excess, max(0, value))
            taxes[tax], excess = value - off, excess - off
        fitted[index] = replace(back, total=back.total - cut, taxes=taxes)
    return fitted


def body(planned: Plan, decimals: int) -> dict[str, Any]:
    """`amount` and `line_items` of the request: delivery and fees are lines there too."""
    lines = []
    for back in planned.parts:
        line: dict[str, Any] = {"id": back.part.id, "refund_total": spelled(back.total, decimals)}
        if back.part.kind == ITEM:
            line["quantity"] = back.quantity
        if back.taxes:
            line["refund_tax"] = [{"id": tax, "refund_total": spelled(value, decimals)}
                                  for tax, value in back.taxes.items()]  # fmt: skip
        lines.append(line)
    return {"amount": spelled(planned.amount, decimals), "line_items": lines}
