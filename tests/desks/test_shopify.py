"""Shopify's native returns through the port: read, opened, decided, labelled, received, paid, ended."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import httpx
import pytest

from integrations.shopify import returns as desk
from integrations.shopify.simulator import trade
from integrations.shopify.simulator.shop import gid, minor
from plugin.platform import OrderRecord
from plugin.return_desk import (
    DecideReturn,
    Disposed,
    Disposition,
    Ending,
    EndReturn,
    ExchangePart,
    LabelReturn,
    OpenReturn,
    ReceiveReturn,
    ReturnPart,
    SendInstead,
    marked,
)
from tests.desks.conftest import SCOPES, Counter, shopify_order, some, trouble
from tests.integrations.shopify.conftest import World


def held(counter: Counter) -> dict[str, Any]:
    found: dict[str, Any] = counter.sim.shop.state.get("orders", int(counter.order.rsplit("/", 1)[-1]))
    return found


def the_return(counter: Counter) -> dict[str, Any]:
    (found,) = held(counter)["_returns"]
    return dict(found)


async def test_an_order_is_read_with_all_that_a_policy_asks_about(shopify: Counter) -> None:
    order = await shopify.read()
    first, second = order.lines
    assert (first.quantity, first.gone, first.returnable) == (1, 0, 1)
    assert (second.quantity, second.gone, second.returnable) == (3, 0, 3)
    doc = held(shopify)
    assert order.paid.decimal() == order.delivery.decimal() + first.paid.decimal() + second.paid.decimal()
    assert str(order.paid.decimal()) == doc["total_price"]
    full = minor(doc["line_items"][1]["price"]) * 3
    assert second.paid.amount == full - round(full / 10), "the order's own discount is off"
    assert 0 < second.tax.amount < second.paid.amount
    assert (order.refunded.amount, order.delivery_gone.amount) == (0, 0)
    assert first.product_types
    assert first.tags
    assert first.collections == first.tags, "the demo shop has a collection for each tag"
    assert first.image_url
    assert first.vendor == "Bustan"
    (shipped,) = second.shipped
    assert (shipped.quantity, shipped.external_id.partition("FulfillmentLineItem/")[1] != "") == (3, True)
    assert shipped.shipped_at
    assert shipped.delivered_at
    (payment,) = order.payments
    assert (payment.left, payment.by_hand) == (order.paid, False)
    assert order.store_credit
    assert order.country
    assert order.customer_external_id


async def test_an_order_that_is_gone_is_none(shopify: Counter) -> None:
    assert await shopify.platform.returnable(shopify.connection, gid("Order", 1)) is None


async def test_what_is_in_a_return_or_was_refunded_cannot_go_back_again(shopify: Counter) -> None:
    await shopify.open(0, 2)
    assert [line.returnable for line in await shopify.lines()] == [1, 1]
    first = held(shopify)["line_items"][0]["id"]
    trade.refund(shopify.sim.shop, held(shopify)["id"], quantities={first: 1})
    assert [(line.gone, line.returnable) for line in await shopify.lines()] == [(1, 0), (0, 1)]
    assert (await shopify.read()).refunded.amount > 0


async def test_without_its_permission_a_step_asks_for_it(world: World) -> None:
    connection = await world.connect()
    id = shopify_order(world)["admin_graphql_api_id"]
    order = await world.platform.returnable(connection, id)
    assert order is not None
    part = ReturnPart(order.lines[0].external_id, 1)
    quote = await world.platform.quote_return(connection, id, OpenReturn("RET-0", (part,), approved=True))
    assert quote.ask == "write_returns"


async def test_each_extra_permission_is_asked_for_by_what_needs_it(world: World) -> None:
    connection = await world.connect(scopes=["write_returns"])
    shelf = ReceiveReturn("RET-0", "gid://shopify/Return/1", (Disposed("x", 1, Disposition.RESTOCK),))
    assert (await world.platform.quote_return(connection, "o", shelf)).ask == "read_locations"


async def test_a_request_waits_and_is_approved(shopify: Counter) -> None:
    id = await shopify.open(0, 2, approved=False)
    made = the_return(shopify)
    assert (made["status"], made["return_line_items"][0]["customer_note"]) == (
        "requested", f"{shopify.number}: pinches",
    )  # fmt: skip
    assert made["return_line_items"][0]["_reason"] == gid("ReturnReasonDefinition", 10), "size-too-small"
    await shopify.decide(id, approve=True)
    assert the_return(shopify)["status"] == "open"
    await shopify.decide(id, approve=True)
    assert sum("ApproveReturn" in said for said in shopify.wire.writes) == 1, "twice is once"


@pytest.mark.parametrize(
    ("why", "told"), [("final_sale", "FINAL_SALE"), ("too_late", "RETURN_PERIOD_ENDED"), ("", "OTHER")]
)
async def test_a_request_is_declined_with_its_reason(shopify: Counter, why: str, told: str) -> None:
    id = await shopify.open(1, approved=False)
    await shopify.decide(id, approve=False, why=why, note="x" * 900)
    assert the_return(shopify)["status"] == "declined"
    assert told in shopify.wire.writes[-1]
    assert (await shopify.quote(DecideReturn(shopify.number, id, approve=True))).refusal == "changed"


async def test_goods_of_several_parcels_are_taken_from_each(world: World) -> None:
    connection = await world.connect(scopes=SCOPES)
    shop = world.sim.shop
    variant = shop.state.all("products")[0]["variants"][0]["id"]
    order = trade.place_order(shop, [(variant, 4)], customer=shop.state.all("customers")[0])
    line = order["line_items"][0]
    for count in (1, 3):
        trade.fulfil(shop, order["id"], quantities={line["id"]: count})
    action = OpenReturn("RET-P", (ReturnPart(line["admin_graphql_api_id"], 3, "damaged"),), approved=True)
    quote = await world.platform.quote_return(connection, order["admin_graphql_api_id"], action)
    assert [one["quantity"] for one in quote.plan["input"]["returnLineItems"]] == [1, 2]


@pytest.mark.parametrize("count", [0, -1, 4, 1_000_000])
async def test_what_cannot_go_back_is_refused_before_anything_is_asked(shopify: Counter, count: int) -> None:
    (_, line) = await shopify.lines()
    action = OpenReturn(shopify.number, (ReturnPart(line.external_id, count),), approved=True)
    assert (await shopify.quote(action)).refusal == "changed"
    assert shopify.wire.writes == []


async def test_somebody_elses_line_is_refused(shopify: Counter) -> None:
    action = OpenReturn(shopify.number, (ReturnPart(gid("LineItem", 7), 1),), approved=True)
    assert (await shopify.quote(action)).refusal == "changed"


async def test_an_exchange_is_opened_when_it_is_approved(shopify: Counter) -> None:
    variant = shopify.sim.shop.state.all("products")[5]["variants"][0]
    exchange = (ExchangePart(gid("ProductVariant", variant["id"]), 1),)
    line = (await shopify.lines())[1]
    part = ReturnPart(line.external_id, 1)
    early = OpenReturn(shopify.number, (part,), approved=False, exchange=exchange)
    assert (await shopify.quote(early)).refusal == "exchange_needs_approval"
    id = await shopify.open(0, 1, exchange=exchange)
    worth = round(line.paid.amount / 3)
    price = minor(variant["price"])
    action = await shopify.pay(id, some(line.paid, max(0, worth - price)), 0, 1)
    quote = await shopify.quote(action)
    assert quote.amount
    assert quote.amount.amount == max(0, worth - price)
    assert quote.notes == (("customer_owes",) if price > worth else ())
    instead = SendInstead(shopify.number, id, exchange, some(line.paid, 0))
    assert (await trouble(shopify.act(instead))).code == "changed", "it is held until the goods are settled"
    await shopify.act(action, quote)
    assert [line["variant_id"] for line in held(shopify)["line_items"]][-1] == variant["id"]
    assert (await shopify.act(instead)).external_id == shopify.order, "released with the payment"


async def test_fees_are_taken_off_and_the_difference_to_shopifys_own_sum_is_shown(shopify: Counter) -> None:
    line = (await shopify.lines())[1]
    fee = some(line.paid, 500)
    id = await shopify.open(0, 3, restocking_fee=some(line.paid, line.paid.amount // 10), shipping_fee=fee)
    assert the_return(shopify)["_shipping_fee"] == 500
    assert float(the_return(shopify)["return_line_items"][0]["_fee"]) == pytest.approx(10, abs=0.1)
    ours = some(line.paid, line.paid.amount - line.paid.amount // 10 - 501)
    quote = await shopify.quote(await shopify.pay(id, ours, 0, 3, fees=fee))
    assert quote.ours == ours
    assert quote.amount
    assert abs(quote.amount.amount - ours.amount) <= 2


async def test_a_label_stands_on_the_return_once_and_a_new_one_takes_its_place(shopify: Counter) -> None:
    id = await shopify.open(1)
    label = LabelReturn(shopify.number, id, "RR1", "https://track.example/RR1", "Post", "https://files.example/1.pdf")
    first = await shopify.act(label)
    again = await shopify.act(label)
    assert first.external_id == again.external_id
    (parcel,) = the_return(shopify)["_parcels"]
    assert [one["tracking"]["number"] for one in parcel["deliveries"]] == ["RR1"]
    await shopify.act(dataclasses.replace(label, tracking_number="RR2"))
    (parcel,) = the_return(shopify)["_parcels"]
    assert [one["tracking"]["number"] for one in parcel["deliveries"]] == ["RR2"]
    assert parcel["deliveries"][0]["label"] == "https://files.example/1.pdf"
    assert '"notify":false' in shopify.wire.writes[-1], "its messages are ours"


async def test_who_asked_in_the_stores_own_account_is_written_to_by_the_store(shopify: Counter) -> None:
    id = await shopify.open(1, approved=False)
    await shopify.decide(id, approve=True, notify=True)
    assert '"notifyCustomer":true' in shopify.wire.writes[-1]
    for number in ("RR1", "RR2"):
        await shopify.act(LabelReturn(shopify.number, id, number, notify=True))
        assert '"notify":true' in shopify.wire.writes[-1]


async def test_goods_that_came_back_go_where_they_belong(shopify: Counter) -> None:
    id = await shopify.open(0, 3)
    line = (await shopify.lines())[1]
    _product, variant = trade.find_variant(shopify.sim.shop, held(shopify)["line_items"][1]["variant_id"])
    before = variant["inventory_quantity"]
    goods = tuple(Disposed(line.external_id, 1, what) for what in Disposition)
    await shopify.act(ReceiveReturn(shopify.number, id, goods))
    (parcel,) = the_return(shopify)["_parcels"]
    assert [one["type"] for one in parcel["lines"][0]["dispositions"]] == ["RESTOCKED", "NOT_RESTOCKED", "MISSING"]
    assert variant["inventory_quantity"] == before + 1
    assert (await shopify.quote(ReceiveReturn(shopify.number, id, goods))).refusal == "changed"


async def test_money_goes_back_to_where_it_came_from_with_our_mark(shopify: Counter) -> None:
    id = await shopify.open(0, 2)
    line = (await shopify.lines())[1]
    worth = some(line.paid, round(line.paid.amount * 2 / 3))
    action = await shopify.pay(id, worth, 0, 2)
    quote = await shopify.quote(action)
    assert (quote.ours, quote.by_hand, quote.notes) == (worth, False, ())
    assert quote.amount
    assert abs(quote.amount.amount - worth.amount) <= 1
    done = await shopify.act(action, quote, "11111111-2222")
    assert (done.amount, done.detail) == (worth, "")
    (entry,) = await shopify.ledger()
    assert (entry["kind"], entry["minor"]) == ("refund", worth.amount)
    records = await shopify.platform.read_order(shopify.connection, shopify.order)
    (record,) = [one for one in records if isinstance(one, OrderRecord)]
    assert record.refunds
    (refund,) = record.refunds
    assert refund.external_id == done.external_id
    assert marked(refund.reason) == (shopify.number, "11111111-2222")
    assert [(one.gone, one.returnable) for one in await shopify.lines()] == [(0, 1), (2, 1)]


async def test_delivery_goes_back_with_the_goods_and_once(shopify: Counter) -> None:
    order = await shopify.read()
    id = await shopify.open(1, 3)
    action = await shopify.pay(id, order.paid, 1, 3, delivery=order.delivery)
    assert (await shopify.quote(action)).amount == order.paid
    await shopify.act(action)
    after = await shopify.read()
    assert (after.delivery_gone, after.refunded) == (order.delivery, order.paid)
    assert after.payments[0].left.amount == 0


async def test_more_than_was_paid_is_refused(shopify: Counter) -> None:
    order = await shopify.read()
    id = await shopify.open(1)
    action = await shopify.pay(id, some(order.paid, order.paid.amount + 1), 1)
    assert (await shopify.quote(action)).refusal == "more_than_paid"


async def test_store_credit_and_its_bonus_are_two_credits_and_no_cash(shopify: Counter) -> None:
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    bonus = some(line.paid, 700)
    done = await shopify.act(await shopify.pay(id, line.paid, 1, credit=True, bonus=bonus))
    assert done.amount == line.paid
    assert [(one["kind"], one["minor"]) for one in await shopify.ledger()] == [
        ("store_credit", line.paid.amount), ("store_credit", 700),
    ]  # fmt: skip


async def test_a_bonus_that_shopify_refuses_is_told_and_the_refund_stands(shopify: Counter) -> None:
    shopify.sim.shop.state.set("credit_limit", 1)
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    done = await shopify.act(await shopify.pay(id, line.paid, 1, credit=True, bonus=some(line.paid, 700)))
    assert done.amount == line.paid
    assert "limit" in done.detail
    assert len(await shopify.ledger()) == 1


async def test_a_guest_gets_no_store_credit(world: World) -> None:
    connection = await world.connect(scopes=SCOPES)
    order = shopify_order(world, guest=True)["admin_graphql_api_id"]
    found = await world.platform.returnable(connection, order)
    assert found is not None
    assert not found.store_credit


async def test_a_gateway_that_refuses_moves_nothing_and_says_so(shopify: Counter) -> None:
    shopify.sim.shop.state.set("refund_faults", 1)
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    done = await shopify.act(await shopify.pay(id, line.paid, 1))
    assert (done.amount, done.detail) == (some(line.paid, 0), "bogus: failure")
    assert await shopify.ledger() == []


async def test_a_manual_payment_goes_back_by_hand(world: World) -> None:
    connection = await world.connect(scopes=SCOPES)
    order = shopify_order(world, gateway="cash_on_delivery")["admin_graphql_api_id"]
    counter = Counter("shopify", world.platform, connection, None, order, world.sim)
    id = await counter.open(1)
    line = (await counter.lines())[0]
    assert (await counter.read()).payments[0].by_hand
    action = await counter.pay(id, line.paid, 1)
    assert (await counter.quote(action)).by_hand
    assert (await counter.act(action)).amount == line.paid
    assert await counter.ledger() == []


async def test_a_return_is_closed_opened_again_and_called_off(shopify: Counter) -> None:
    id = await shopify.open(1)
    for how, status in ((Ending.CLOSE, "closed"), (Ending.REOPEN, "open"), (Ending.CANCEL, "canceled")):
        await shopify.act(EndReturn(shopify.number, id, how))
        await shopify.act(EndReturn(shopify.number, id, how))
        assert the_return(shopify)["status"] == status
    assert (await shopify.quote(EndReturn(shopify.number, id, Ending.REOPEN))).refusal == "changed"


async def test_a_request_that_is_called_off_is_declined_without_a_mail(shopify: Counter) -> None:
    id = await shopify.open(1, approved=False)
    for _ in range(2):
        await shopify.act(EndReturn(shopify.number, id, Ending.CANCEL))
    assert the_return(shopify)["status"] == "declined"
    assert '"notifyCustomer":false' in shopify.wire.writes[-1]


async def test_a_return_made_in_the_admin_is_paid_like_ours(shopify: Counter) -> None:
    doc = held(shopify)
    told = {"lines": {doc["line_items"][0]["id"]: 1}, "fee": "5.00"}
    made = await post(shopify, f"order/{doc['id']}/return-create", told)
    line = (await shopify.lines())[0]
    action = await shopify.pay(made["admin_graphql_api_id"], some(line.paid, line.paid.amount - 500), 1)
    quote = await shopify.quote(action)
    assert quote.amount == quote.ours
    assert (await shopify.act(action)).amount == quote.ours


async def post(counter: Counter, path: str, body: object) -> Any:
    transport = httpx.ASGITransport(counter.sim)
    async with httpx.AsyncClient(transport=transport, base_url="http://shopify-demo.localhost:8001") as http:
        answer = await http.post(f"/__sim/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_a_return_made_in_the_admin_sends_back_is_read(shopify: Counter) -> None:
    id = await shopify.open(1, 2, approved=False)
    first, second = await shopify.lines()
    parts = await shopify.platform.return_parts(shopify.connection, id)
    assert [(part.line_external_id, part.quantity) for part in parts] == [
        (first.external_id, 1),
        (second.external_id, 2),
    ]
    assert {part.words for part in parts} == {f"{shopify.number}: pinches"}
    assert await shopify.platform.return_parts(shopify.connection, gid("Return", 1)) == ()


async def test_what_somebody_did_in_the_admin_meanwhile_is_noticed(shopify: Counter) -> None:
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    action = await shopify.pay(id, line.paid, 1)
    quote = await shopify.quote(action)
    doc = held(shopify)
    await post(shopify, f"order/{doc['id']}/return-process",
               {"return_id": the_return(shopify)["id"], "money": str(line.paid.decimal())})  # fmt: skip
    error = await trouble(shopify.act(action, quote))
    assert not error.lost
    assert (await shopify.quote(action)).refusal == "changed"
    assert len(await shopify.ledger()) == 1


async def test_shopifys_own_no_is_told_in_its_words(shopify: Counter) -> None:
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    action = await shopify.pay(id, line.paid, 1)
    quote = await shopify.quote(action)
    await post(shopify, "faults", {"kind": "refused", "code": "INVALID_STATE"})
    error = await trouble(shopify.act(action, quote))
    assert (error.code, error.lost, error.retry) == ("invalid_state", False, False)
    assert await shopify.ledger() == []


async def test_a_bad_gateway_after_the_effect_is_found_done_and_one_before_it_is_not_repeated(shopify: Counter) -> None:
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    action = await shopify.pay(id, line.paid, 1)
    quote = await shopify.quote(action)
    await post(shopify, "faults", {"kind": "500", "on": "ProcessReturn"})
    error = await trouble(shopify.act(action, quote, "k-0"))
    assert (error.lost, await shopify.moved()) == (True, [])
    await post(shopify, "faults", {"kind": "throttled", "on": "ProcessReturn"})
    await post(shopify, "faults", {"kind": "lost", "on": "ProcessReturn"})
    assert (await trouble(shopify.settle(action, quote, "k-0"))).lost
    assert await shopify.moved() == [line.paid.amount]
    done = await shopify.settle(action, quote, "k-0")
    assert done is not None
    assert await shopify.moved() == [line.paid.amount]


async def test_the_money_waits_for_the_credit_on_top_to_be_under_way_no_more(
    shopify: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await shopify.open(1)
    line = (await shopify.lines())[0]
    action = await shopify.pay(id, line.paid, 1, credit=True, bonus=some(line.paid, 700))
    quote = await shopify.quote(action)
    shopify.wire.cut, shopify.wire.on = 9, "GiveCredit"
    assert (await trouble(shopify.act(action, quote, "k-1"))).lost
    assert len(await shopify.ledger()) == 1
    shopify.wire.cut = 0
    early = await trouble(shopify.settle(action, quote, "k-1"))
    assert (early.code, early.lost, early.retry) == ("settling", True, True)
    monkeypatch.setattr(desk, "CREDIT_AFTER", timedelta(0))
    done = await shopify.settle(action, quote, "k-1")
    assert done is not None
    assert await shopify.settle(action, quote, "k-1") == done
    assert [one["minor"] for one in await shopify.ledger()] == [line.paid.amount, 700]


async def test_a_return_is_read_again_with_its_order(shopify: Counter) -> None:
    id = await shopify.open(1)
    records = await shopify.platform.read_return(shopify.connection, id)
    (record,) = [one for one in records if isinstance(one, OrderRecord)]
    assert record.external_id == shopify.order
    assert record.returns
    assert [one.external_id for one in record.returns] == [id]
    assert list(await shopify.platform.read_return(shopify.connection, gid("Return", 1))) == []
