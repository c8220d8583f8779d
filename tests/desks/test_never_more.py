"""No sequence of partial refunds gives more than was paid, to the minor unit, with 0, 2 and 3 decimals."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.shopify import return_mapping as shopify_mapping
from integrations.shopify.return_mapping import Changed
from integrations.woocommerce import refund_mapping, return_mapping
from plugin.kernel.money import Money, exponent_of
from plugin.return_desk import PayReturn, ReturnPart
from tests.desks.conftest import SCOPES, Counter, Lossy, rest, shopify_order, some
from tests.integrations.shopify.conftest import World

CURRENCIES = st.sampled_from(["JPY", "ILS", "KWD"])


@dataclass(frozen=True)
class Wish:
    """So many of each line, a share of what is left of the money, and whether delivery and credit are asked for."""

    units: tuple[int, ...]
    permille: int
    delivery: bool = False
    credit: bool = False


wishes = st.builds(
    Wish, st.tuples(*[st.integers(0, 3)] * 3), st.integers(0, 1300), st.booleans(), st.booleans()
)  # fmt: skip


# WooCommerce: an order as its REST API tells it, and refunds as it would write them down


def spelled(amount: int, decimals: int) -> str:
    return refund_mapping.spelled(amount, decimals)


@st.composite
def woo_orders(draw: st.DrawFn) -> dict[str, Any]:
    currency = draw(CURRENCIES)
    # A shop may write fewer decimals than its currency has.
    decimals = draw(st.sampled_from(sorted({0, min(2, exponent_of(currency)), exponent_of(currency)})))
    total, lines = 0, []
    for id, quantity in enumerate(draw(st.lists(st.integers(1, 4), min_size=3, max_size=3)), 11):
        price, tax = draw(st.integers(0, 9_999)), draw(st.integers(0, 999))
        total += price + tax
        lines.append({"id": id, "name": f"line {id}", "quantity": quantity, "total": spelled(price, decimals),
                      "taxes": [{"id": 1, "total": spelled(tax, decimals)}]})  # fmt: skip
    freight = draw(st.integers(0, 900))
    return {
        "id": 1, "currency": currency, "total": spelled(total + freight, decimals), "date_paid_gmt": "2026-11-01T00:00",
        "line_items": lines, "fee_lines": [], "meta_data": [],
        "shipping_lines": [{"id": 30, "method_title": "Flat", "total": spelled(freight, decimals), "taxes": []}],
    }  # fmt: skip


def woo_refund(order: dict[str, Any], planned: refund_mapping.Plan, decimals: int, *, credit: bool, key: str) -> Any:
    """The refund that WooCommerce keeps of a plan; a credit keeps its units alone, and its worth on the order."""
    lines: dict[str, list[Any]] = {"line_items": [], "shipping_lines": []}
    if credit:
        order["meta_data"].append(return_mapping.credit_entry(planned, key, decimals))
    for back in planned.parts:
        total, taxes = (0, {}) if credit else (back.total, back.taxes)
        lines.get(back.part.kind, []).append({
            "quantity": -back.quantity if back.part.kind == refund_mapping.ITEM else 0,
            "total": spelled(-total, decimals), "taxes": [{"id": tax, "total": spelled(-value, decimals)}
                                                          for tax, value in taxes.items()],
            "meta_data": [{"key": "_refunded_item_id", "value": str(back.part.id)}],
        })  # fmt: skip
    amount = 0 if credit else planned.amount
    return {"id": 100, "amount": spelled(amount, decimals), "reason": "", **lines}


@given(woo_orders(), st.lists(wishes, max_size=6))
def test_woocommerce_never_gives_more_than_was_paid(order: dict[str, Any], asked: list[Wish]) -> None:
    decimals, currency = refund_mapping.places(order), order["currency"]
    paid = refund_mapping.minor(order["total"], decimals)
    exponent = max(decimals, exponent_of(currency))
    refunds: list[Any] = []
    given_back = 0
    units = dict.fromkeys((11, 12, 13), 0)
    for number, wish in enumerate(asked):
        left = refund_mapping.left_of(order, refunds)
        freight = sum(
            part.value_left for part in refund_mapping.parts_of(order, refunds) if part.kind == "shipping_lines"
        )
        scale = 10 ** (exponent - decimals)
        action = PayReturn(
            "R", "R", tuple(ReturnPart(str(id), count) for id, count in zip(units, wish.units, strict=True) if count),
            Money(left * scale * wish.permille // 1000, currency, exponent),
            delivery=Money(freight * scale, currency, exponent) if wish.delivery else None,
        )  # fmt: skip
        try:
            planned, own = return_mapping.plan(order, refunds, action)
        except ValueError:
            continue
        assert own >= 0
        assert planned.amount * scale <= action.amount.amount, "never more than was asked for"
        assert sum(back.value for back in planned.parts) == planned.amount
        for back in planned.parts:
            assert back.total >= 0
            assert back.total <= back.part.total_left
            assert all(0 <= value <= back.part.taxes_left[tax] for tax, value in back.taxes.items())
        refunds.append(woo_refund(order, planned, decimals, credit=wish.credit, key=str(number)))
        given_back += planned.amount
        for id, count in zip(units, wish.units, strict=True):
            units[id] += count
        assert given_back <= paid
        assert refund_mapping.left_of(order, refunds) == paid - given_back
    for part in refund_mapping.parts_of(order, refunds):
        if part.kind == refund_mapping.ITEM:
            assert units[part.id] + part.left == part.quantity
    # An agent who refunds the rest by hand cannot pass it either.
    rest_of = refund_mapping.plan(order, refunds, quantities={}, shipping=False, whole=True)
    assert given_back + rest_of.amount == paid


# Shopify: payments, and what each still holds


@dataclass
class Payments:
    """The transactions of an order as Shopify lists them."""

    currency: str
    sizes: list[int]
    back: list[tuple[int, int]] = field(default_factory=list)
    credit: int = 0

    def money(self, amount: int) -> dict[str, Any]:
        text = str(Decimal(amount).scaleb(-exponent_of(self.currency)))
        return {"presentmentMoney": {"amount": text, "currencyCode": self.currency}}

    def order(self) -> dict[str, Any]:
        refunded = self.credit + sum(size for _, size in self.back)
        return {"transactions": self.listed(), "totalRefundedSet": self.money(refunded)}

    def listed(self) -> list[dict[str, Any]]:
        paid = [{"id": f"t{place}", "kind": "SALE", "status": "SUCCESS", "gateway": "g", "formattedGateway": "G",
                 "manualPaymentGateway": False, "amountSet": self.money(size), "parentTransaction": None}
                for place, size in enumerate(self.sizes)]  # fmt: skip
        refunds = [{"id": f"r{number}", "kind": "REFUND", "status": "SUCCESS", "gateway": "g", "formattedGateway": "G",
                    "manualPaymentGateway": False, "amountSet": self.money(size),
                    "parentTransaction": {"id": f"t{place}"}}
                   for number, (place, size) in enumerate(self.back)]  # fmt: skip
        return [*paid, *refunds]


@given(
    CURRENCIES,
    st.lists(st.integers(1, 99_999), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 120_000), st.booleans()), max_size=8),
)
def test_shopify_takes_no_payment_past_what_it_holds(
    currency: str, sizes: list[int], asked: list[tuple[int, bool]]
) -> None:
    held = Payments(currency, sizes)
    exponent = exponent_of(currency)
    for amount, credit in asked:
        payments = shopify_mapping.payments(held.order())
        left = sum(one.left.amount for one in payments)
        assert left == sum(sizes) - held.credit - sum(size for _, size in held.back)
        try:
            taken = shopify_mapping.spread(Money(amount, currency, exponent), payments, ["t1"])
        except Changed:
            assert amount > left
            continue
        assert sum(part.amount for _, part in taken) == amount
        if credit:
            held.credit += amount
            continue
        for source, part in taken:
            assert 0 < part.amount <= source.left.amount
            held.back.append((int(source.id[1:]), part.amount))
    assert held.credit + sum(size for _, size in held.back) <= sum(sizes)
    for place, size in enumerate(sizes):
        assert sum(part for of, part in held.back if of == place) <= size


# Both once more with the whole adapter and the simulator's ledger


async def partial_returns(counter: Counter, credit: int) -> None:
    """Unit by unit, each at its share, one as credit; then everything that is left, and one more."""
    order = await counter.read()
    id = await counter.open(1, 3)
    given = 0
    for place, count, units in ((1, 1, (0, 1)), (0, 1, (1, 0)), (1, 2, (0, 2))):
        line = order.lines[place]
        worth = some(line.paid, line.paid.amount * count // line.quantity)
        done = await counter.act(await counter.pay(id, worth, *units, credit=given == credit))
        assert done.amount == worth
        given += worth.amount
        after = await counter.read()
        assert after.refunded.amount == given
        assert sum(one.left.amount for one in after.payments) == order.paid.amount - given
    assert given <= order.paid.amount
    again = await counter.pay(id, some(order.paid, 1), 0, 1)
    assert (await counter.quote(again)).refusal == "changed"


@pytest.mark.parametrize(("currency", "rate"), [("ILS", "1"), ("JPY", "41.7"), ("KWD", "0.0841")])
async def test_at_shopify_in_the_customers_currency(world: World, currency: str, rate: str) -> None:
    connection = await world.connect(scopes=SCOPES)
    order = shopify_order(world, discount=7, currency=currency, rate=rate)["admin_graphql_api_id"]
    counter = Counter("shopify", world.platform, connection, Lossy(world.wire), order, world.sim)
    found = await counter.read()
    assert (found.paid.currency, found.paid.exponent) == (currency, exponent_of(currency))
    assert found.paid.amount == found.delivery.amount + sum(line.paid.amount for line in found.lines)
    await partial_returns(counter, credit=0)
    after = await counter.read()
    moved = [one for one in await counter.ledger() if one["order_id"] == int(order.rsplit("/", 1)[-1])]
    assert sum(one["minor"] for one in moved) == after.refunded.amount
    assert {one["currency"] for one in moved} == {currency}


async def test_at_woocommerce(woo: Counter) -> None:
    await partial_returns(woo, credit=0)
    kept = await rest(woo.sim, f"orders/{woo.order}/refunds")
    coupons = await rest(woo.sim, "coupons?per_page=100")
    credit = [one for one in coupons if one["description"].startswith(woo.number)]
    assert len(credit) == 1
    cash = sum(Decimal(one["amount"]) for one in kept)
    assert cash == sum(Decimal(one) for one in await woo.moved()).scaleb(-3)


async def test_two_returns_of_one_order_share_what_was_paid(counter: Counter) -> None:
    other = dataclasses.replace(counter, number=f"{counter.number}-B")
    first, second = await counter.open(1), await other.open(0, 3)
    order = await counter.read()
    lines = order.lines
    with_delivery = some(order.paid, lines[0].paid.amount + order.delivery.amount)
    await counter.act(await counter.pay(first, with_delivery, 1, delivery=order.delivery))
    stale = await other.pay(second, some(order.paid, lines[1].paid.amount + 1), 0, 3)
    assert (await other.quote(stale)).refusal == "more_than_paid"
    done = await other.act(await other.pay(second, lines[1].paid, 0, 3))
    assert done.amount == lines[1].paid
    assert (await counter.read()).refunded == order.paid
