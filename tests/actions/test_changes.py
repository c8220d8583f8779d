"""Other goods in an order, on both platforms: what it costs is the store's word, it is done once, money moves once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.shopify.simulator import trade
from integrations.woocommerce import edits as woo_edits
from plugin.crm import actions
from plugin.crm.actions import DONE, FAILED, SENT, UNKNOWN, ActionRow, ByShopper
from plugin.kernel.db import new_id
from plugin.kernel.errors import NotFound
from plugin.platform import Cancel, Change, Duplicate, LineChange, RefundLine
from tests.actions.conftest import Killed, Till, _rest

ME = ByShopper(new_id(), locale="en")


def line_of(till: Till, held: dict[str, Any], count: int) -> str:
    """The line of the order that has so many."""
    line = next(one for one in held["line_items"] if one["quantity"] == count)
    return str(line["admin_graphql_api_id"] if till.kind == "shopify" else line["id"])


async def fewer(till: Till) -> Change:
    """One of the two goes."""
    return Change((LineChange(line_of(till, await till.store_order(), 2), 1),))


async def more(till: Till) -> Change:
    """Three instead of two."""
    return Change((LineChange(line_of(till, await till.store_order(), 2), 3),))


async def as_shopper(till: Till, action: Change | Cancel, by: ByShopper = ME) -> ActionRow:
    quote = await till.quote(action)
    assert not quote.refusal, quote.refusal
    async with till.app.db.transaction(till.workspace) as tx:
        row = await actions.prepare(tx, await till.ours(), action, quote, by=by)
    async with till.app.db.transaction(till.workspace) as tx:
        return await actions.confirm(tx, row.id, by=by, amount="" if row.amount is None else str(row.amount))


async def given_back(till: Till) -> Decimal:
    return sum((Decimal(one) for one in await till.refunds()), Decimal(0))


async def count_of(till: Till, line: str) -> int:
    """How many of a line are still to be sent."""
    held = await till.store_order()
    if till.kind == "shopify":
        return next(int(one["current_quantity"]) for one in held["line_items"] if one["admin_graphql_api_id"] == line)
    refunds = await _rest(till.sim, f"orders/{till.order}/refunds")
    gone = sum(-int(one["quantity"]) for refund in refunds for one in refund["line_items"]
               if any(str(meta["value"]) == line for meta in one["meta_data"]))  # fmt: skip
    return next((int(one["quantity"]) for one in held["line_items"] if str(one["id"]) == line), 0) - gone


async def test_one_less_goes_back_to_the_minor_unit_and_the_shopper_did_it(till: Till) -> None:
    wanted = await fewer(till)
    quote = await till.quote(wanted)
    assert quote.amount
    assert quote.owed is None
    assert till.wire.writes == [], "looking changes nothing"
    row = await as_shopper(till, wanted)
    await till.work()
    row = await till.row(row)
    assert (row.state, row.agent_id, row.visitor_id) == (DONE, None, ME.visitor_id)
    assert await given_back(till) == quote.amount.decimal()
    assert await count_of(till, wanted.lines[0].line_external_id) == 1
    (event,) = await till.events("order.acted")
    assert (event["action"], event["shopper"], event["by"]) == ("change", True, "")


async def test_one_more_is_owed_and_can_be_paid(till: Till) -> None:
    wanted = await more(till)
    quote = await till.quote(wanted)
    assert quote.amount is None
    assert quote.owed
    row = await as_shopper(till, wanted)
    await till.work()
    row = await till.row(row)
    assert row.state == DONE, (row.said, row.code)
    assert await till.refunds() == []
    assert await count_of(till, wanted.lines[0].line_external_id) == 3
    made = "" if row.done.external_id == till.order else row.done.external_id
    link = await till.platform.pay_link(till.connection, till.order, made)
    assert urlsplit(link).path.startswith("/68001/order_payment/" if till.kind == "shopify" else "/checkout/order-pay/")
    if till.kind == "shopify":
        held = await till.store_order()
        assert held["total_outstanding"] == str(quote.owed.decimal())
        assert held["_invoices"] == 1
    else:
        assert Decimal((await _rest(till.sim, f"orders/{made}"))["total"]) == quote.owed.decimal()


@pytest.mark.parametrize("which", ["fewer", "more"])
async def test_a_lost_answer_is_found_and_nothing_is_done_twice(till: Till, which: str) -> None:
    wanted = await (fewer if which == "fewer" else more)(till)
    quote = await till.quote(wanted)
    till.wire.lose = 1
    row = await as_shopper(till, wanted)
    for _round in range(3):
        await till.work()
        await till.hurry()
    row = await till.row(row)
    line = wanted.lines[0]
    assert await count_of(till, line.line_external_id) == line.quantity
    if row.state == DONE:
        assert await given_back(till) == (quote.amount.decimal() if quote.amount else 0)
        return
    # What WooCommerce made of the difference left no trace: nobody does it again, a person decides.
    assert (till.kind, row.state) == ("woocommerce", SENT)
    await till.age(row, 10)
    await till.work()
    assert (await till.row(row)).state == UNKNOWN
    assert len(await till.refunds()) <= 1


@pytest.mark.parametrize("at", [1, 2])
async def test_killed_in_the_middle_money_never_goes_twice(till: Till, at: int) -> None:
    wanted = await fewer(till)
    quote = await till.quote(wanted)
    assert quote.amount
    row = await as_shopper(till, wanted)
    till.wire.kill_at = at
    with pytest.raises(Killed):
        await till.work()
        raise Killed
    for _round in range(4):
        await till.hurry()
        await till.work()
    assert await given_back(till) in (Decimal(0), quote.amount.decimal())
    assert len(await till.refunds()) <= 1
    row = await till.row(row)
    assert row.state == DONE, "the order's goods and our key say that it was done"
    assert await given_back(till) == quote.amount.decimal()


async def test_the_warehouse_ships_meanwhile(till: Till) -> None:
    wanted = await fewer(till)
    row = await as_shopper(till, wanted)
    await ship(till)
    await till.work()
    row = await till.row(row)
    assert row.state == FAILED
    assert row.said
    assert await till.refunds() == []
    assert (await till.quote(wanted)).refusal == "sent_already"


async def ship(till: Till) -> None:
    if till.kind == "shopify":
        trade.fulfil(till.sim.shop, int(till.order.rsplit("/", 1)[-1]))
    else:
        await _rest(till.sim, f"orders/{till.order}", "PUT", {"status": "completed"})


async def test_an_agent_cancels_at_the_same_time(till: Till) -> None:
    wanted = await fewer(till)
    quote = await till.quote(wanted)
    async with till.app.db.transaction(till.workspace) as tx:
        mine = await actions.prepare(tx, await till.ours(), wanted, quote, by=ME)
    theirs = await till.prepare(Cancel())

    async def shopper() -> ActionRow:
        async with till.app.db.transaction(till.workspace) as tx:
            return await actions.confirm(tx, mine.id, by=ME, amount=str(mine.amount))

    ends: Sequence[object] = await asyncio.gather(shopper(), till.confirm(theirs), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["ActionRow", "Conflict"]
    await till.work()
    assert len(await till.refunds()) == 1


async def test_a_double_click_and_another_browser(till: Till) -> None:
    row = await as_shopper(till, Cancel())
    async with till.app.db.transaction(till.workspace) as tx:
        again = await actions.confirm(tx, row.id, by=ME, amount=str(row.amount))
        assert again.id == row.id
        with pytest.raises(NotFound):
            await actions.confirm(tx, row.id, by=ByShopper(new_id()), amount=str(row.amount))
        with pytest.raises(NotFound):
            await actions.confirm(tx, row.id, by=till.agent, amount=str(row.amount))
    await till.work()
    assert len(await till.refunds()) == 1
    assert (await till.ours()).cancelled_at is not None


async def test_what_somebody_changed_meanwhile_is_not_overwritten(till: Till) -> None:
    wanted = await more(till)
    row = await as_shopper(till, wanted)
    if till.kind == "shopify":
        held = await till.store_order()
        trade.edit_quantity(till.sim.shop, held["id"], held["line_items"][1]["id"], 1)
    else:
        held = await till.store_order()
        line = next(one for one in held["line_items"] if one["quantity"] == 2)
        told = {"line_items": [{"id": line["id"], "quantity": 1}]}
        await _rest(till.sim, f"orders/{till.order}", "PUT", told)
    await till.work()
    row = await till.row(row)
    assert (row.state, row.code) == (FAILED, "changed")
    assert await count_of(till, wanted.lines[0].line_external_id) == 1


async def test_the_stores_own_words_are_said_where_it_refuses(shopify_till: Till) -> None:
    till = shopify_till
    number = int(till.order.rsplit("/", 1)[-1])
    trade.edit_order(till.sim.shop, number, {"_locked": "Orders with this payment method can't be edited"})
    assert (await till.quote(await fewer(till))).refusal == "Orders with this payment method can't be edited"


async def test_another_variant_in_its_place_and_the_difference_back(till: Till) -> None:
    """Swapped for a cheaper and for a dearer one; what was paid, what is owed and what the order holds agree."""
    held = await till.store_order()
    if till.kind == "shopify":
        product = next(one for one in till.sim.shop.state.all("products") if len(one["variants"]) > 1)
        order = trade.place_order(
            till.sim.shop, [(product["variants"][0]["id"], 1)], customer=None, email="a@x.example"
        )
        till.order, line = order["admin_graphql_api_id"], order["line_items"][0]["admin_graphql_api_id"]
        other = product["variants"][1]
        other["price"] = trade.amount(trade.minor(product["variants"][0]["price"]) - 500)
        till.sim.shop.state.put("products", product["id"], product)
        variant, off = f"gid://shopify/ProductVariant/{other['id']}", Decimal("5.00")
    else:
        products = await _rest(till.sim, "products?type=variable&per_page=1")
        kinds = await _rest(till.sim, f"products/{products[0]['id']}/variations")
        items = [{"product_id": products[0]["id"], "variation_id": kinds[0]["id"], "quantity": 1}]
        placed = await till.sim.sim("order", {"items": items, "payment_method": "bacs", "email": "a@x.example"})
        await _rest(till.sim, f"orders/{placed['id']}", "PUT", {"status": "processing"})
        till.order, off = str(placed["id"]), Decimal("1.000")
        price = str(Decimal(kinds[0]["price"]) - off)
        await _rest(till.sim, f"products/{kinds[1]['id']}", "PUT", {"regular_price": price, "price": price})
        held = await till.store_order()
        line, variant = str(held["line_items"][0]["id"]), str(kinds[1]["id"])
    wanted = Change((LineChange(line, 1, variant),))
    quote = await till.quote(wanted)
    assert quote.amount, quote
    assert quote.amount.decimal() == off
    done = await till.platform.act(till.connection, till.order, wanted, quote, str(new_id()))
    assert done.amount == quote.amount
    assert await given_back(till) == off
    after = await till.store_order()
    now = [one for one in after["line_items"] if one.get("current_quantity", one["quantity"])]
    assert [str(one["variant_id" if till.kind == "shopify" else "variation_id"]) for one in now] == [
        variant.rsplit("/", 1)[-1]
    ]
    assert await till.platform.settle(till.connection, till.order, wanted, quote, "another key") is not None


async def test_a_replacement_is_an_order_of_some_of_the_goods_and_free(till: Till) -> None:
    line = line_of(till, await till.store_order(), 2)
    row = await till.do(Duplicate(free=True, lines=(RefundLine(line, 1),), place=True))
    assert row.state == DONE, (row.said, row.code)
    if till.kind == "shopify":
        made = till.sim.shop.state.get("orders", int(row.done.external_id.rsplit("/", 1)[-1]))
        assert [(one["quantity"], trade.paid_for(one)) for one in made["line_items"]] == [(1, 0)]
        return
    made = await _rest(till.sim, f"orders/{row.done.external_id}")
    assert [(one["quantity"], Decimal(one["total"])) for one in made["line_items"]] == [(1, Decimal(0))]
    assert made["status"] == "processing"


@given(
    total=st.integers(1, 10**6), taxes=st.lists(st.integers(0, 10**5), max_size=2), count=st.integers(1, 9),
    left=st.integers(0, 9),
)  # fmt: skip
def test_what_goes_back_of_a_line_is_never_more_than_it_was(
    total: int, taxes: list[int], count: int, left: int
) -> None:
    line = {"id": 1, "quantity": count, "total": str(total), "product_id": 1}
    was = woo_edits.Price(total, dict(enumerate(taxes)))
    if left >= count:
        return
    now_total = woo_edits._half_up(Decimal(total) * left / count)
    priced = woo_edits.Priced(line, left, was, woo_edits.Price(now_total, woo_edits._taxes(was, now_total)))
    back = priced.back(0)
    given = int(back["refund_total"]) + sum(int(tax["refund_total"]) for tax in back.get("refund_tax", ()))
    assert given == -priced.difference
    assert 0 <= given <= was.value
