"""Address, note, tags, discount code, draft and payment link: each done once, each found again, on both platforms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from integrations.shopify.simulator import doings, oauth
from plugin.crm import actions
from plugin.crm.actions import DONE, FAILED, SENT
from plugin.kernel.errors import Forbidden
from plugin.kernel.money import Money
from plugin.platform import (
    Annotate,
    Discount,
    Duplicate,
    EndDiscount,
    OrderAction,
    PlatformError,
    Readdress,
    Refund,
    Retag,
)
from plugin.team import Permission, Role
from tests.actions.conftest import Till, _rest

NEW = Readdress(
    first_name="ليلى", last_name="حداد", line1="شارع النخيل 4", city="Amman", postcode="11118", country="JO",
    phone="+962790000000",
)  # fmt: skip


async def settled(till: Till, action: OrderAction) -> actions.ActionRow:
    """Done with a lost answer in between: the second round has to find out."""
    till.wire.lose = 1
    row = await till.do(action)
    assert row.state == SENT
    await till.hurry()
    await till.work()
    return await till.row(row)


async def test_an_address_is_changed_and_put_back(till: Till) -> None:
    quote = await till.quote(Readdress())
    assert quote.refusal == ""
    assert quote.before["city"]
    assert (await till.do(NEW)).state == DONE
    order = await till.ours()
    assert order.shipping_address
    assert (order.shipping_address["city"], order.shipping_address["line1"]) == ("Amman", "شارع النخيل 4")
    assert (await till.do(Readdress(**quote.before))).state == DONE
    assert (await till.ours()).shipping_address["city"] == quote.before["city"]


async def test_an_order_that_was_sent_keeps_its_address(till: Till) -> None:
    if till.kind == "shopify":
        doings.trade.fulfil(till.sim.shop, int(till.order.rsplit("/", 1)[-1]))
    else:
        await _rest(till.sim, f"orders/{till.order}", "PUT", {"status": "completed"})
    assert (await till.quote(NEW)).refusal == "sent_already"


async def test_a_note_is_written_once_beside_what_stands_there(till: Till) -> None:
    assert (await till.do(Annotate("call before delivery"))).state == DONE
    row = await settled(till, Annotate("gift wrapping"))
    assert row.state == DONE
    if till.kind == "shopify":
        assert (await till.store_order())["note"] == "call before delivery\ngift wrapping"
        return
    notes = [note["note"] for note in await _rest(till.sim, f"orders/{till.order}/notes?type=internal")]
    assert notes.count("call before delivery") == notes.count("gift wrapping") == 1


async def test_tags_are_put_on_and_taken_off_where_orders_have_them(shopify_till: Till, woo_till: Till) -> None:
    assert Retag not in woo_till.platform.actions
    till = shopify_till
    assert (await settled(till, Retag(add=("vip", "gift")))).state == DONE
    assert (await till.do(Retag(add=("fragile",), remove=("gift",)))).state == DONE
    assert (await till.ours()).tags == ["vip", "fragile"]


async def test_a_code_is_made_once_for_one_customer_and_ended(till: Till) -> None:
    code = actions.new_code()
    assert len(code) == 13
    row = await settled(till, Discount(code, percent=10))
    assert (row.state, row.done.name) == (DONE, code)
    if till.kind == "shopify":
        (made,) = till.sim.shop.state.all("discounts")
        told = made["told"]
        assert told["customerGets"]["value"] == {"percentage": 0.1}
        assert (told["usageLimit"], made["active"]) == (1, True)
    else:
        made = next(one for one in await _rest(till.sim, "coupons") if one["code"] == code.lower())
        assert (made["discount_type"], made["amount"], made["usage_limit"]) == ("percent", "10.00", 1)
        assert made["email_restrictions"] == ["layla@x.example"]
    assert (await till.do(EndDiscount(row.done.external_id, code))).state == DONE
    if till.kind == "shopify":
        assert till.sim.shop.state.all("discounts")[0]["active"] is False
    else:
        assert all(one["code"] != code.lower() for one in await _rest(till.sim, "coupons"))


async def test_a_code_of_an_amount_counts_against_the_limit(till: Till) -> None:
    order = await till.ours()
    limits = {order.currency: 500}
    agent = await till.person(Role.AGENT, rights=[Permission.REFUND.value], refund_limits=limits)
    assert (await till.do(Discount(actions.new_code(), amount=400), by=agent)).state == DONE
    with pytest.raises(Forbidden):
        await till.do(Discount(actions.new_code(), amount=200), by=agent)


@pytest.mark.parametrize("free", [False, True])
async def test_the_goods_are_drafted_once_more_with_a_link_to_pay(till: Till, free: bool) -> None:
    orders = await _count(till)
    row = await settled(till, Duplicate(free=free))
    assert row.state == DONE, (row.said, row.code)
    assert await _count(till) == orders + 1
    assert row.done.amount is not None
    assert (row.done.amount.amount == 0) is free
    link = await till.platform.pay_link(till.connection, till.order, row.done.external_id)
    page = "/68001/invoices/" if till.kind == "shopify" else "/checkout/order-pay/"
    assert urlsplit(link).path.startswith(page) or (free and till.kind == "woocommerce" and not link)
    async with till.app.db.transaction(till.workspace) as tx:
        kept = str((await tx.execute(text("SELECT outcome::text FROM order_actions"))).scalars().all())
    assert "http" not in kept, "a bearer link is kept nowhere"


async def _count(till: Till) -> int:
    if till.kind == "shopify":
        return int(till.sim.shop.state.count("draft_orders"))
    return int((await till.sim.sim("state", method="GET"))["counts"]["order"])


async def test_the_store_mails_the_link_and_says_when_it_cannot(till: Till) -> None:
    row = await till.do(Duplicate(invoice=True))
    assert (row.state, row.said) == (DONE, "")
    if till.kind == "shopify":
        (draft,) = till.sim.shop.state.all("draft_orders")
        assert draft["invoice_sent_at"]
    else:
        notes = await _rest(till.sim, f"orders/{row.done.external_id}/notes")
        assert any("customer_invoice" in note["note"] for note in notes)


async def test_a_paid_order_has_no_payment_link(till: Till) -> None:
    assert await till.platform.pay_link(till.connection, till.order) == ""


async def test_free_goods_take_the_right_to_give_money_and_its_limit(till: Till) -> None:
    agent = await till.person(Role.AGENT)
    assert (await till.prepare(Duplicate(), by=agent)).worth is None
    with pytest.raises(Forbidden):
        await till.prepare(Duplicate(free=True), by=agent)
    order = await till.ours()
    some = await till.person(Role.ADMIN, rights=[Permission.REFUND.value], refund_limits={order.currency: 1})
    with pytest.raises(Forbidden):
        await till.prepare(Duplicate(free=True), by=some)


async def test_light_agents_do_nothing_at_all(till: Till) -> None:
    light = await till.person(Role.LIGHT)
    for action in (NEW, Annotate("x"), Duplicate(), Discount("X", percent=5), EndDiscount("1", "X")):
        with pytest.raises(Forbidden):
            await till.prepare(action, by=light, quote=await till.quote(Annotate("x")))


# Of one platform


async def test_shopify_is_asked_for_a_permission_before_anything_else(shopify_till: Till) -> None:
    till = shopify_till
    oauth.change_scopes(till.sim.shop, [scope for scope in till.sim.shop.granted if not scope.startswith("write_")])
    await till.platform.check(till.connection)
    asked = {type(action).__name__: (await till.quote(action)).ask
             for action in (Refund(whole=True), NEW, Discount("X", percent=5), Duplicate())}  # fmt: skip
    assert asked == {
        "Refund": "write_orders", "Readdress": "write_orders", "Discount": "write_discounts",
        "Duplicate": "write_draft_orders",
    }  # fmt: skip


async def test_a_permission_that_is_taken_back_meanwhile_is_told_in_shopifys_words(shopify_till: Till) -> None:
    till = shopify_till
    row = await till.confirm(await till.prepare(Refund(whole=True)))
    oauth.change_scopes(till.sim.shop, [scope for scope in till.sim.shop.granted if scope != "write_orders"])
    await till.work()
    row = await till.row(row)
    assert (row.state, row.code) == (FAILED, "access_denied")
    assert "write_orders" in row.said


async def test_a_refund_that_the_payment_provider_refused_says_so(shopify_till: Till) -> None:
    till = shopify_till
    till.sim.shop.state.set(doings.REFUND_FAULTS, 1)
    row = await till.do(Refund(whole=True))
    assert (row.state, row.said) == (DONE, "bogus: failure")
    assert row.done.amount is None
    assert await till.refunds() == ["0.00"]


async def test_a_gateway_that_gives_nothing_back_is_told_before_and_nothing_is_claimed(woo_till: Till) -> None:
    till = woo_till
    assert (await till.quote(Refund(whole=True))).by_hand is False
    await till.sim.sim("options", {"refunding_gateways": []})
    quote = await till.quote(Refund(whole=True))
    assert (quote.by_hand, quote.gateway) == (True, "Direct bank transfer")
    row = await till.do(Refund(whole=True))
    assert (row.state, row.quoted.by_hand) == (DONE, True)
    (refund,) = await _rest(till.sim, f"orders/{till.order}/refunds")
    assert refund["refunded_payment"] is False


async def test_a_refund_made_by_hand_in_wp_admin_a_moment_ago_is_not_doubled(woo_till: Till) -> None:
    till = woo_till
    row = await till.confirm(await till.prepare(Refund(whole=True)))
    await _rest(till.sim, f"orders/{till.order}/refunds", "POST", {"amount": "1.000", "api_refund": False})
    await till.work()
    row = await till.row(row)
    assert (row.state, row.code) == (FAILED, "changed")
    assert len(await till.refunds()) == 1


async def test_a_half_written_refund_without_our_mark_counts_as_ours(woo_till: Till) -> None:
    """WooCommerce writes metadata last: a request that dies half-way leaves a refund that does not name us.

    Nobody knows whether its gateway paid, so it is neither done nor made again.
    """
    till = woo_till
    row = await till.confirm(await till.prepare(Refund(whole=True)))
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(text("UPDATE order_actions SET attempts = 1 WHERE id = :id"), {"id": row.id})
    body: dict[str, Any] = {"amount": row.quoted.plan["amount"], "api_refund": False}
    await _rest(till.sim, f"orders/{till.order}/refunds", "POST", body)
    await till.work()
    assert (await till.row(row)).state == SENT
    assert len(await till.refunds()) == 1


async def test_a_store_that_is_away_is_told_when_somebody_looks(woo_till: Till) -> None:
    woo_till.wire.broken = True
    with pytest.raises(PlatformError) as met:
        await woo_till.quote(Refund(whole=True))
    assert (met.value.lost, met.value.code) == (False, "unreachable")


async def test_what_was_confirmed_for_somebody_who_is_erased_meanwhile_is_not_sent(till: Till) -> None:
    row = await till.confirm(await till.prepare(Annotate("call her")))
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(text("UPDATE order_actions SET wanted = '{}', quote = '{}' WHERE id = :id"), {"id": row.id})
    await till.work()
    row = await till.row(row)
    assert (row.state, row.code) == (FAILED, "erased")
    assert till.wire.writes == []


def test_worth_is_what_is_given_away() -> None:
    order: Any = type("Order", (), {"total": 9_999, "currency": "ILS", "exponent": 2})
    quote: Any = type("Quote", (), {"amount": Money(120, "ILS", 2)})
    assert actions.worth(Discount("X", percent=10), quote, order) == Money(1000, "ILS", 2)
    assert actions.worth(Duplicate(free=True), quote, order) == Money(9_999, "ILS", 2)
    assert actions.worth(Duplicate(), quote, order) is None
    assert actions.worth(Refund(), quote, order) == Money(120, "ILS", 2)
