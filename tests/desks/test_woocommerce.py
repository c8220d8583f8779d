"""Returns at WooCommerce through the port: what is written on the order, and money by refunds and coupons."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugin.kernel.money import Money
from plugin.platform import OrderRecord
from plugin.return_desk import (
    Disposed,
    Disposition,
    Ending,
    EndReturn,
    ExchangePart,
    LabelReturn,
    OpenReturn,
    PayReturn,
    ReceiveReturn,
    ReturnPart,
    marked,
)
from tests.desks.conftest import Counter, rest, some, trouble

KEY = "0b1c9f3e-0000-4000-8000-000000000001"


async def doc(counter: Counter) -> dict[str, Any]:
    found: dict[str, Any] = await rest(counter.sim, f"orders/{counter.order}")
    return found


async def notes(counter: Counter) -> list[str]:
    return [note["note"] for note in await rest(counter.sim, f"orders/{counter.order}/notes?type=internal")]


async def meta(counter: Counter) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in (await doc(counter))["meta_data"]}


async def test_an_order_is_read_with_all_that_a_policy_asks_about(woo: Counter) -> None:
    order = await woo.read()
    first, second = order.lines
    assert (first.quantity, first.gone, first.returnable) == (1, 0, 1)
    assert (second.quantity, second.gone, second.returnable) == (3, 0, 3)
    assert order.paid.decimal() == sum(one.decimal() for one in (order.delivery, first.paid, second.paid))
    assert str(order.paid.decimal()) == (await doc(woo))["total"]
    assert (order.paid.currency, order.paid.exponent) == ("JOD", 3)
    assert first.collections
    assert first.image_url
    (shipped,) = second.shipped
    assert (shipped.quantity, shipped.delivered_at) == (3, None)
    assert shipped.shipped_at
    (payment,) = order.payments
    assert (payment.left, payment.by_hand) == (order.paid, False)
    assert order.store_credit


async def test_an_order_that_is_gone_is_none(woo: Counter) -> None:
    assert await woo.platform.returnable(woo.connection, "99999") is None


async def test_what_was_not_sent_cannot_go_back(woo: Counter) -> None:
    placed = await woo.sim.sim("order", {"payment_method": "bacs", "email": "x@x.example"})
    await rest(woo.sim, f"orders/{placed['id']}", "PUT", {"status": "processing"})
    order = await woo.platform.returnable(woo.connection, str(placed["id"]))
    assert order is not None
    assert {line.returnable for line in order.lines} == {0}


async def test_a_return_has_a_status_of_its_own_a_note_and_keeps_its_goods(woo: Counter) -> None:
    id = await woo.open(0, 2, note="asked in the chat")
    assert id == woo.number
    assert (await doc(woo))["status"] == "ahlan-return"
    told = json.loads((await meta(woo))[f"_ahlan_return_{woo.number}"])
    assert (told["status"], list(told["parts"].values())) == ("open", [2])
    (note,) = [one for one in await notes(woo) if one.startswith(woo.number)]
    assert note.endswith("open asked in the chat")
    assert [line.returnable for line in await woo.lines()] == [1, 1]
    (record,) = [
        one for one in await woo.platform.read_order(woo.connection, woo.order) if isinstance(one, OrderRecord)
    ]
    assert (record.status, record.fulfilment_status, record.payment_status) == ("closed", "fulfilled", "paid")
    await woo.act(EndReturn(woo.number, id, Ending.CLOSE))
    assert (await doc(woo))["status"] == "completed"
    assert [line.returnable for line in await woo.lines()] == [1, 3]
    await woo.act(EndReturn(woo.number, id, Ending.REOPEN))
    assert (await doc(woo))["status"] == "ahlan-return"


async def test_an_older_plugin_does_not_know_the_status_and_the_rest_is_written(woo: Counter) -> None:
    await woo.sim.sim("options", {"return_status": False})
    await woo.open(1)
    assert (await doc(woo))["status"] == "completed"
    assert f"_ahlan_return_{woo.number}" in await meta(woo)
    assert any(one.startswith(woo.number) for one in await notes(woo))


async def test_a_request_waits_and_is_decided(woo: Counter) -> None:
    id = await woo.open(1, approved=False)
    assert (await doc(woo))["status"] == "completed"
    await woo.decide(id, approve=True)
    assert (await doc(woo))["status"] == "ahlan-return"
    other = Counter(woo.kind, woo.platform, woo.connection, woo.wire, woo.order, woo.sim)
    declined = await other.open(0, 1, approved=False)
    await other.decide(declined, approve=False, why="too_late")
    assert (await doc(woo))["status"] == "ahlan-return", "another return is under way"
    assert any("declined too_late" in one for one in await notes(woo))


@pytest.mark.parametrize("count", [0, -1, 4, 1_000_000])
async def test_what_cannot_go_back_is_refused(woo: Counter, count: int) -> None:
    line = (await woo.lines())[1]
    for id in (line.external_id, "gid://shopify/LineItem/1", "7"):
        action = OpenReturn(woo.number, (ReturnPart(id, count),), approved=True)
        assert (await woo.quote(action)).refusal == "changed"
    assert woo.wire.writes == []


async def test_an_exchange_waits_for_approval_and_its_goods_are_named(woo: Counter) -> None:
    line = (await woo.lines())[0]
    exchange = (ExchangePart("12", 1, "Blue shirt"),)
    early = OpenReturn(woo.number, (ReturnPart(line.external_id, 1),), approved=False, exchange=exchange)
    assert (await woo.quote(early)).refusal == "exchange_needs_approval"
    id = await woo.open(1, exchange=exchange)
    assert any("1 × Blue shirt" in one for one in await notes(woo))
    await woo.act(await woo.pay(id, some(line.paid, 0), 1))
    assert [one.gone for one in await woo.lines()] == [1, 0]
    assert await woo.ledger() == []


async def test_label_and_goods_are_notes_and_stand_there_once(woo: Counter) -> None:
    id = await woo.open(0, 3)
    line = (await woo.lines())[1]
    goods = tuple(Disposed(line.external_id, 1, what) for what in Disposition)
    for action in (LabelReturn(woo.number, id, "RR1", carrier="Aramex"), ReceiveReturn(woo.number, id, goods)):
        quote = await woo.quote(action)
        await woo.act(action, quote, KEY)
        await woo.settle(action, quote, KEY)
    told = [one for one in await notes(woo) if KEY in one]
    assert len(told) == 1, "one step, one note"
    await woo.act(ReceiveReturn(woo.number, id, goods))
    assert any(f"1 × {line.title} (+), 1 × {line.title} (damaged)" in one for one in await notes(woo))


async def test_money_goes_back_by_the_gateway_with_our_mark(woo: Counter) -> None:
    id = await woo.open(0, 2)
    line = (await woo.lines())[1]
    worth = some(line.paid, line.paid.amount * 2 // 3)
    action = await woo.pay(id, worth, 0, 2)
    quote = await woo.quote(action)
    assert (quote.ours, quote.by_hand, quote.notes) == (worth, False, ("store_mails",))
    assert quote.amount
    assert abs(quote.amount.amount - worth.amount) <= 1
    done = await woo.act(action, quote, KEY)
    assert done.amount == worth
    (entry,) = await woo.ledger()
    assert entry["minor"] == worth.amount
    (refund,) = await rest(woo.sim, f"orders/{woo.order}/refunds")
    assert (str(refund["id"]), marked(refund["reason"])) == (done.external_id, (woo.number, KEY))
    assert [one["quantity"] for one in refund["line_items"]] == [-2]
    (record,) = [
        one for one in await woo.platform.read_order(woo.connection, woo.order) if isinstance(one, OrderRecord)
    ]
    assert record.refunds
    assert marked(record.refunds[0].reason) == (woo.number, KEY)
    assert [(one.gone, one.returnable) for one in await woo.lines()] == [(0, 1), (2, 1)]


async def test_fees_are_withheld_and_delivery_goes_back(woo: Counter) -> None:
    order = await woo.read()
    id = await woo.open(1, 3)
    fee = some(order.paid, 500)
    ours = some(order.paid, order.paid.amount - 500)
    action = await woo.pay(id, ours, 1, 3, delivery=order.delivery, fees=fee)
    quote = await woo.quote(action)
    assert quote.amount == ours
    await woo.act(action, quote)
    after = await woo.read()
    assert after.refunded == ours
    assert after.payments[0].left == fee
    assert [one.gone for one in after.lines] == [1, 3]


async def test_more_than_was_paid_and_more_than_a_line_holds_are_refused(woo: Counter) -> None:
    order = await woo.read()
    id = await woo.open(1)
    for amount in (order.paid.amount + 1, order.lines[0].paid.amount + 1):
        action = await woo.pay(id, some(order.paid, amount), 1)
        assert (await woo.quote(action)).refusal == "more_than_paid"


async def test_a_gateway_that_cannot_leaves_the_money_to_a_person(woo: Counter) -> None:
    await woo.sim.sim("options", {"refunding_gateways": []})
    id = await woo.open(1)
    line = (await woo.lines())[0]
    assert (await woo.read()).payments[0].by_hand
    action = await woo.pay(id, line.paid, 1)
    quote = await woo.quote(action)
    assert quote.by_hand
    done = await woo.act(action, quote, KEY)
    assert done.amount == line.paid
    assert await woo.settle(action, quote, KEY) == done
    assert await woo.ledger() == [], "it is only written down"
    assert len(await rest(woo.sim, f"orders/{woo.order}/refunds")) == 1


@pytest.mark.parametrize(
    ("what", "notes_of", "back"), [
        ((Disposition.RESTOCK,) * 3, (), 3),
        ((Disposition.DAMAGED,) * 3, (), 0),
        ((Disposition.RESTOCK, Disposition.DAMAGED, Disposition.MISSING), ("restock_by_hand",), 0),
    ],
)  # fmt: skip
async def test_goods_go_back_on_the_shelf_all_or_by_hand(
    woo: Counter, what: tuple[Disposition, ...], notes_of: tuple[str, ...], back: int
) -> None:
    id = await woo.open(0, 3)
    line = (await woo.lines())[1]
    product = (await doc(woo))["line_items"][1]["product_id"]
    before = (await rest(woo.sim, f"products/{product}"))["stock_quantity"]
    goods = tuple(Disposed(line.external_id, 1, one) for one in what)
    action = await woo.pay(id, line.paid, 0, 3, restock=goods)
    quote = await woo.quote(action)
    assert quote.notes == ("store_mails", *notes_of)
    await woo.act(action, quote)
    assert (await rest(woo.sim, f"products/{product}"))["stock_quantity"] == before + back


async def test_store_credit_is_a_coupon_of_exactly_that_amount_for_the_customers_address(woo: Counter) -> None:
    id = await woo.open(0, 2)
    line = (await woo.lines())[1]
    worth, bonus = some(line.paid, 3_333), some(line.paid, 1_001)
    action = await woo.pay(id, worth, 0, 2, credit=True, bonus=bonus)
    quote = await woo.quote(action)
    assert (quote.by_hand, quote.notes) == (False, ())
    done = await woo.act(action, quote, KEY)
    assert (done.amount, done.detail) == (worth, "coupon")
    assert await woo.settle(action, quote, KEY) == done
    (coupon,) = await rest(woo.sim, f"coupons?code={done.name.lower()}")
    assert (coupon["discount_type"], coupon["usage_limit"], coupon["email_restrictions"]) == (
        "fixed_cart", 1, ["layla@x.example"],
    )  # fmt: skip
    assert len(done.name) > 16, "nobody guesses it"
    assert '"amount":"4.334"' in next(said for said in woo.wire.writes if "POST /wp-json/wc/v3/coupons" in said)
    assert await woo.ledger() == []
    after = await woo.read()
    assert after.refunded == worth, "what became credit is not there to go back again"
    assert [one.gone for one in after.lines] == [0, 2]
    whole = PayReturn(woo.number, id, (), some(worth, after.paid.amount - worth.amount + 1))
    assert (await woo.quote(whole)).refusal == "more_than_paid"


async def test_without_an_address_there_is_no_coupon(woo: Counter) -> None:
    await rest(woo.sim, f"orders/{woo.order}", "PUT", {"billing": {"email": ""}})
    line = (await woo.lines())[0]
    action = PayReturn("R", "R", (ReturnPart(line.external_id, 1),), line.paid, credit=True)
    assert (await woo.quote(action)).refusal == "no_email"
    assert not (await woo.read()).store_credit


async def test_what_somebody_refunded_meanwhile_is_noticed(woo: Counter) -> None:
    id = await woo.open(1)
    line = (await woo.lines())[0]
    action = await woo.pay(id, line.paid, 1)
    quote = await woo.quote(action)
    await rest(woo.sim, f"orders/{woo.order}/refunds", "POST", {"amount": "0.100", "api_refund": False})
    error = await trouble(woo.act(action, quote))
    assert (error.code, error.lost) == ("changed", False)
    assert await woo.ledger() == []


# A gateway that fails in every way it can


async def paid(woo: Counter) -> tuple[PayReturn, Any, Money]:
    id = await woo.open(1)
    line = (await woo.lines())[0]
    action = await woo.pay(id, line.paid, 1)
    return action, await woo.quote(action), line.paid


async def test_a_refund_of_the_same_amount_is_ours_only_with_our_lines(woo: Counter) -> None:
    """What lost its mark is known by amount and units; the same amount for other goods is somebody else's."""
    action, quote, worth = await paid(woo)
    first, second = await woo.lines()
    for line, code in ((second, ""), (first, "gateway_unknown")):
        lines = [{"id": int(line.external_id), "quantity": 1, "refund_total": "0.100"}]
        told = {"amount": str(worth.decimal()), "api_refund": False, "line_items": lines}
        await rest(woo.sim, f"orders/{woo.order}/refunds", "POST", told)
        if code:
            assert (await trouble(woo.settle(action, quote, KEY))).code == code
        else:
            assert await woo.settle(action, quote, KEY) is None
    assert await woo.ledger() == []


async def test_a_gateway_that_refuses_is_final(woo: Counter) -> None:
    action, quote, _ = await paid(woo)
    await woo.sim.sim("gateway", {"mode": "refuse"})
    error = await trouble(woo.act(action, quote, KEY))
    assert (error.lost, error.retry) == (False, False)
    assert "Declined by the bank" in error.said
    assert await woo.moved() == []
    assert await rest(woo.sim, f"orders/{woo.order}/refunds") == []


async def test_a_bank_that_did_not_answer_may_have_paid_and_nobody_pays_again(woo: Counter) -> None:
    action, quote, worth = await paid(woo)
    await woo.sim.sim("gateway", {"mode": "timeout"})
    error = await trouble(woo.act(action, quote, KEY))
    assert (error.code, error.lost) == ("gateway_unknown", True)
    assert await woo.settle(action, quote, KEY) is None, "WooCommerce took its record back: a person looks"
    assert await woo.moved() == [worth.amount]


@pytest.mark.parametrize(("mode", "money"), [("die_before", 0), ("die_during", 1)])
async def test_a_gateway_whose_part_stays_unknown_is_asked_about_and_never_again(
    woo: Counter, mode: str, money: int
) -> None:
    action, quote, worth = await paid(woo)
    await woo.sim.sim("gateway", {"mode": mode})
    assert (await trouble(woo.act(action, quote, KEY))).lost
    for _ in range(2):
        error = await trouble(woo.settle(action, quote, KEY))
        assert (error.code, error.lost, error.retry) == ("gateway_unknown", True, True)
        assert str(worth.decimal()) in error.said
    assert await woo.moved() == [worth.amount] * money


async def test_money_that_moved_before_the_answer_was_lost_is_found(woo: Counter) -> None:
    action, quote, worth = await paid(woo)
    await woo.sim.sim("gateway", {"mode": "die_after"})
    assert (await trouble(woo.act(action, quote, KEY))).lost
    done = await woo.settle(action, quote, KEY)
    assert done is not None
    assert done.amount == worth
    assert await woo.moved() == [worth.amount]
