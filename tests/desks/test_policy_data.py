"""Every clause of a policy, from a store's own data through its adapter to the judgement, on both platforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.shopify.simulator import risk, trade
from integrations.shopify.simulator.shop import gid
from integrations.shopify.simulator.state import Doc
from integrations.woocommerce import mapping
from plugin.kernel.money import Money
from plugin.return_desk import RISKS, ReturnableLine, ReturnableOrder, Sign
from plugin.returns import policy_words
from plugin.returns.policy import (
    Choice,
    ChoiceLine,
    Match,
    Policy,
    Reason,
    Resolution,
    Rule,
    Terms,
    eligibility,
    leaves,
    quote,
    reasons_for,
)
from tests.desks.conftest import Counter, rest
from tests.integrations.shopify.conftest import World

TODAY = datetime.now(UTC).date()
TWICE = (Sign.RISK, Sign.DISPUTE, Sign.PAYMENTS, Sign.COUNTRIES)


@dataclass
class Seller:
    """What the merchant says of the first of an order's goods, and of who bought it, in the store's own admin."""

    counter: Counter
    product: str
    variant: str

    async def read(self) -> ReturnableOrder:
        return await self.counter.read()


def doc(counter: Counter) -> Doc:
    found: Doc = counter.sim.shop.state.get("orders", int(counter.order.rsplit("/", 1)[-1]))
    return found


@pytest.fixture
async def shopify_seller(shopify: Counter) -> Seller:
    shop, order = shopify.sim.shop, doc(shopify)
    line = order["line_items"][0]
    product = shop.state.get("products", line["product_id"])
    product.update(tags="swim, summer", vendor="Acme", product_type="Swimwear")
    line["vendor"] = "Acme"
    shop.state.put("products", product["id"], product)
    trade.update_customer(shop, order["customer"]["id"], {"_tags": "wholesale"})
    for part in ("shipping_address", "billing_address"):
        order[part] = {**(order[part] or {}), "country_code": "DE", "country": "Germany"}
    trade.save(shop, order)
    return Seller(shopify, gid("Product", product["id"]), line["admin_graphql_api_id"])


@pytest.fixture
async def woo_seller(woo: Counter) -> Seller:
    shop = woo.sim
    line = (await rest(shop, f"orders/{woo.order}"))["line_items"][0]
    person = (await rest(shop, "customers?per_page=1"))[0]["id"]
    items = [{"product_id": one["product_id"], "quantity": one["quantity"]}
             for one in (await rest(shop, f"orders/{woo.order}"))["line_items"]]  # fmt: skip
    placed = await shop.sim("order", {"items": items, "payment_method": "bacs", "customer_id": person})
    address = {"country": "DE"}
    for change in ({"status": "processing"}, {"status": "completed"}, {"shipping": address, "billing": address}):
        await rest(shop, f"orders/{placed['id']}", "PUT", change)
    await rest(shop, f"products/{line['product_id']}", "PUT", {
        "categories": [{"name": "Swim"}, {"name": "Swimwear"}], "tags": [{"name": "swim"}],
        "brands": [{"name": "Acme"}],
    })  # fmt: skip
    await shop.sim("role", {"customer": person, "role": "wholesale"})
    woo.order = str(placed["id"])
    return Seller(woo, str(line["product_id"]), "")


@pytest.fixture(params=["shopify_seller", "woo_seller"])
def seller(request: pytest.FixtureRequest) -> Seller:
    found: Seller = request.getfixturevalue(request.param)
    return found


def rules(*wanted: Match) -> Policy:
    days = dict.fromkeys(Resolution, 30)
    return Policy(rules=tuple(Rule(str(one), one, Terms(days)) for one in wanted))


def names_of(policy: Policy, order: ReturnableOrder, line: ReturnableLine, reason: str) -> Sequence[str]:
    """Which of the rules fit the line, each asked by itself."""
    judged = [eligibility(replace(policy, rules=(one,)), order, line, TODAY, reason=reason) for one in policy.rules]
    return [one.rule for one in judged if one.rule]


async def test_an_exception_speaks_of_all_that_it_can_speak_of(seller: Seller) -> None:
    order = await seller.read()
    one = order.lines[0]
    each = Money(one.paid.amount // one.quantity, one.paid.currency, one.paid.exponent)
    fitting = (
        Match(products=(seller.product,)), Match(collections=("SWIM",)), Match(tags=("swim",)),
        Match(vendors=("acme",)), Match(types=("swimwear",)), Match(countries=("DE",)), Match(segments=("Wholesale",)),
        Match(reasons=("defective",)), Match(price_from=(each,), price_to=(each,)),
    )  # fmt: skip
    others = (
        Match(products=("0",)), Match(collections=("ski",)), Match(tags=("ski",)), Match(vendors=("b",)),
        Match(types=("skis",)), Match(countries=("FR",)), Match(segments=("vip",)), Match(reasons=("style",)),
        Match(price_from=(replace(each, amount=each.amount + 1),)),
        Match(price_to=(replace(each, amount=each.amount - 1),)),
    )  # fmt: skip
    found = names_of(rules(*fitting, *others), order, one, "defective")
    assert found == [str(match) for match in fitting]
    elsewhere = names_of(rules(*fitting[:5]), order, order.lines[1], "defective")
    assert elsewhere == [], "the other goods are none of it"


async def test_names_are_read_as_people_read_them(woo_seller: Seller, woo: Counter) -> None:
    await rest(woo.sim, f"products/{woo_seller.product}", "PUT", {
        "categories": [{"name": "Sun &amp; Sea"}], "tags": [{"name": "hot &amp; dry"}],
        "brands": [{"name": "Acme &amp; Sons"}],
    })  # fmt: skip
    line = (await woo_seller.read()).lines[0]
    assert (line.product_types, line.tags, line.vendor) == (("Sun & Sea",), ("hot & dry",), "Acme & Sons")
    known = mapping.product(await rest(woo.sim, f"products/{woo_seller.product}"))
    assert (known.product_type, known.tags) == ("Sun & Sea", ("hot & dry",))


async def test_reasons_are_asked_by_what_kind_of_goods_it_is(seller: Seller) -> None:
    order = await seller.read()
    tree = (Reason("size", types=("Swimwear",), children=(Reason("too_small"),)), Reason("other"))
    asked = [[one.code for one in leaves(reasons_for(tree, line.product_types))] for line in order.lines]
    assert asked == [["too_small", "other"], ["other"]]


async def test_days_count_from_delivery_else_from_the_shipment(shopify: Counter, woo: Counter, world: World) -> None:
    at_shopify, at_woo = await shopify.read(), await woo.read()
    judged = eligibility(Policy(), at_shopify, at_shopify.lines[0], TODAY)
    assert (judged.counts_from, judged.since) == ("delivered", TODAY)
    judged = eligibility(Policy(), at_woo, at_woo.lines[0], TODAY)
    assert (judged.counts_from, judged.since) == ("shipped", TODAY), "WooCommerce itself is told of no delivery"
    shop = world.sim.shop
    variant = shop.state.all("products")[0]["variants"][0]["id"]
    sent = trade.place_order(shop, [(variant, 1)], customer=None, email="l@example.com")
    before = datetime.now(UTC) - timedelta(days=9)
    trade.fulfil(shop, sent["id"], at=before)
    order = await shopify.platform.returnable(shopify.connection, sent["admin_graphql_api_id"])
    assert order is not None
    judged = eligibility(Policy(), order, order.lines[0], TODAY)
    assert (judged.counts_from, judged.since) == ("shipped", before.date())


async def test_what_is_no_goods_that_come_back_is_known(shopify: Counter, woo: Counter) -> None:
    for line, more in zip(doc(shopify)["line_items"], ({"gift_card": True}, {"_group": 7}), strict=True):
        line.update(more)
    card, part = (await shopify.read()).lines
    assert (card.gift_card, part.gift_card, bool(part.bundle)) == (True, False, True)
    first = (await rest(woo.sim, f"orders/{woo.order}"))["line_items"][0]["product_id"]
    await rest(woo.sim, f"products/{first}", "PUT", {"type": "gift-card", "virtual": True})
    card, part = (await woo.read()).lines
    assert (card.gift_card, card.needs_shipping, part.gift_card, part.needs_shipping) == (True, False, False, True)
    order = await woo.read()
    assert [eligibility(Policy(), order, one, TODAY).code for one in order.lines] == ["gift_card", ""]


# What asks for a second look


async def suspicious(counter: Counter) -> None:
    """All that a store can say against an order."""
    if counter.kind == "shopify":
        shop, number = counter.sim.shop, doc(counter)["id"]
        risk.assess(shop, number, {"level": "medium", "facts": ["The card was used from two countries"]})
        risk.dispute(shop, number, {"status": "UNDER_REVIEW"})
        risk.fail_payment(shop, number, {"times": 3})
        doc(counter)["billing_address"] = {**doc(counter)["shipping_address"], "country_code": "FR"}
        return
    told = {"_charge_risk_level": "elevated", "_wcpay_open_dispute_ids": ["dp_1"]}
    await counter.sim.sim("assess", {"order": int(counter.order), "meta": told})
    change = {"shipping": {"country": "JO"}, "billing": {"country": "FR"}}
    await rest(counter.sim, f"orders/{counter.order}", "PUT", change)


async def test_what_a_store_says_against_an_order_asks_a_person_and_no_more(counter: Counter) -> None:
    before = await counter.read()
    assert (before.signs, before.risk_words) == ((), ())
    await suspicious(counter)
    order = await counter.read()
    choice = Choice((ChoiceLine(order.lines[0].external_id, 1, "style"),), Resolution.REFUND)
    plain, asked = (quote(Policy(signs=signs), order, choice, TODAY) for signs in ((), TWICE))
    assert (plain.review, plain.refused) == ((), ())
    payments = ["payments"] if counter.kind == "shopify" else []
    assert asked.review == ("risk", "dispute", *payments, "countries")
    assert asked.refused == ()
    assert replace(asked, review=()) == plain
    said = {"shopify": "The card was used from two countries", "woocommerce": "payments.risk_elevated"}
    assert order.risk_words == (said[counter.kind],)


@pytest.mark.parametrize(("level", "status", "signs"), [
    ("low", "WON", ()), ("pending", "WON", ()), ("high", "WON", (Sign.RISK,)), ("low", "LOST", (Sign.DISPUTE,)),
    ("none", "PREVENTED", (Sign.DISPUTE,)),
])  # fmt: skip
async def test_an_order_that_was_cleared_asks_nobody(
    shopify: Counter, level: str, status: str, signs: tuple[Sign, ...]
) -> None:
    risk.assess(shopify.sim.shop, doc(shopify)["id"], {"level": level})
    risk.dispute(shopify.sim.shop, doc(shopify)["id"], {"status": status})
    risk.fail_payment(shopify.sim.shop, doc(shopify)["id"], {"times": 2})
    found = await shopify.read()
    assert (found.signs, found.failed_payments) == (signs, 2)


@pytest.mark.parametrize(("meta", "found"), [
    ({"_charge_risk_level": "normal", "_wcpay_fraud_outcome_status": "allow", "_wcpay_open_dispute_ids": []}, ()),
    ({"_wcpay_fraud_outcome_status": "review"}, ("payments.held",)),
    ({"_wcpay_fraud_outcome_status": "review", "_wcpay_fraud_meta_box_type": "review"}, ("payments.held",)),
    # The merchant looked at it and let it through.
    ({"_wcpay_fraud_outcome_status": "review", "_wcpay_fraud_meta_box_type": "review_allowed"}, ()),
    ({"_wcpay_fraud_outcome_status": "block", "_wcpay_fraud_meta_box_type": "block"}, ("payments.blocked",)),
    ({"_wcpay_early_fraud_warning": {"fraud_type": "made_with_stolen_card"}},
     ("payments.warning.made_with_stolen_card",)),
    ({"_wcpay_early_fraud_warning": {"fraud_type": "of_tomorrow"}}, ("payments.warning",)),
    ({"_charge_risk_level": ["nonsense"], "_wcpay_fraud_meta_box_type": [], "_wcpay_early_fraud_warning": "?"}, ()),
])  # fmt: skip
async def test_what_woopayments_left_on_an_order_is_read(
    woo: Counter, meta: dict[str, Any], found: tuple[str, ...]
) -> None:
    await woo.sim.sim("assess", {"order": int(woo.order), "meta": meta})
    order = await woo.read()
    assert (order.risk_words, order.signs) == (found, (Sign.RISK,) if found else ())


def test_what_is_told_by_a_code_has_words() -> None:
    assert policy_words.RISKS.keys() == RISKS


async def test_an_order_that_was_tried_often_is_paid_all_the_same(shopify: Counter) -> None:
    before = await shopify.read()
    risk.fail_payment(shopify.sim.shop, doc(shopify)["id"], {"times": 40})
    found = await shopify.read()
    assert before.paid.amount > 0
    assert (found.paid, found.payments, found.failed_payments) == (before.paid, before.payments, 40)


async def test_an_order_of_a_user_who_is_gone_is_read_all_the_same(woo_seller: Seller) -> None:
    counter = woo_seller.counter
    person = (await rest(counter.sim, f"orders/{counter.order}"))["customer_id"]
    await rest(counter.sim, f"customers/{person}?force=true", "DELETE")
    assert (await counter.read()).customer_tags == ()
