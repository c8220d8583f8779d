"""What asks for a second look: counted from what the shop itself knows, told to the team, never to the shopper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from plugin.conversations import blocked
from plugin.conversations.blocked import BlockedSender, Kind
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx, new_id
from plugin.return_desk import Sign
from plugin.returns import policies, policy_words, records, signs
from plugin.returns.policy import Policy
from plugin.returns.states import State
from tests.returns.desk import Shop
from tests.returns.test_returning import Client, wish
from tests.returns.test_returning import client as client

MAIL = "layla@x.example"


async def another(tx: Tx, shop: Shop, **more: Any) -> UUID:
    """Another order of the same address, which was not paid."""
    order = Order(
        id=new_id(), store_id=shop.store.id, external_id=str(new_id()), version=datetime.now(UTC), customer_id=None,
        name="#7", number="7", placed_at=datetime.now(UTC), status="open", payment_status="failed",
        fulfilment_status="", currency="ILS", exponent=2, total=100,
    )  # fmt: skip
    for name, value in {"email": MAIL, **more}.items():
        setattr(order, name, value)
    tx.add(order)
    await tx.flush()
    return order.id


async def known(shop: Shop, rules: Policy | None = None, **more: Any) -> Any:
    async with shop.app.db.transaction(shop.workspace) as tx:
        order = await tx.get(Order, shop.order_id)
        assert order is not None
        return await signs.person_of(tx, order, rules or Policy(), **more)


async def test_orders_that_could_not_be_paid_are_counted_for_the_same_person_and_for_a_while(shop: Shop) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        for more in (
            {}, {}, {"payment_status": "paid"}, {"email": "omar@x.example"}, {"deleted_at": datetime.now(UTC)},
            {"placed_at": datetime.now(UTC) - timedelta(days=31)},
        ):  # fmt: skip
            await another(tx, shop, **more)
    asked = Policy(signs=(Sign.PAYMENTS,), most_days=30)
    assert (await known(shop, asked)).failed_payments == 2
    assert (await known(shop, replace(asked, most_days=60))).failed_payments == 3
    assert (await known(shop, replace(asked, signs=()))).failed_payments == 0, "nobody asks: nothing is counted"
    assert (await known(shop, replace(asked, signs=()), everything=True)).failed_payments == 2


async def test_failed_payments_of_an_address_are_found_by_an_index(shop: Shop) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        await tx.execute(text("SET LOCAL enable_bitmapscan = off"))
        plan = await tx.execute(
            text("EXPLAIN SELECT count(*) FROM orders WHERE workspace_id = :w AND store_id = :s AND email = :e AND "
                 "payment_status = 'failed'"), {"w": shop.workspace, "s": shop.store.id, "e": MAIL},
        )  # fmt: skip
        assert "ix_orders_failed_payments" in "\n".join(row[0] for row in plan)


async def test_who_signed_in_is_known_whatever_address_they_write(shop: Shop) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        person = Customer(id=new_id(), name="Layla")
        tx.add(person)
        await tx.flush()
        order = await tx.get(Order, shop.order_id)
        assert order is not None
        order.customer_id = person.id
        await another(tx, shop, email="other@x.example", customer_id=person.id)
        await another(tx, shop)
        browser = Visitor(id=new_id(), store_id=shop.store.id, secret_hash=b"x", customer_id=person.id)
        tx.add(browser)
        await tx.flush()
        tx.add(BlockedSender(id=new_id(), kind=Kind.VISITOR, value=str(browser.id), agent_id=shop.agent.id))
    found = await known(shop, everything=True)
    assert (found.failed_payments, found.signs) == (1, (Sign.BLOCKED,))


async def test_a_blocked_address_is_known(shop: Shop) -> None:
    assert (await known(shop)).signs == ()
    async with shop.app.db.transaction(shop.workspace) as tx:
        await blocked.add(tx, "x.example", by=shop.agent)
    assert (await known(shop)).signs == (Sign.BLOCKED,)


async def test_what_was_missing_from_a_parcel_is_remembered_for_a_while(shop: Shop) -> None:
    await shop.policy(Policy())
    first = await shop.submit()
    async with shop.app.db.transaction(shop.workspace) as tx:
        (line,) = await records.lines_of(tx, first.id)
        line.missing = 1
    assert await known(shop) == replace(await known(shop), returns=1, signs=(Sign.MISSING,))
    assert (await known(shop, apart=first.id)).returns == 0
    assert (await known(shop, apart=first.id)).signs == ()
    async with shop.app.db.transaction(shop.workspace) as tx:
        (await records.held(tx, first.id)).created_at = datetime.now(UTC) - timedelta(days=200)
    assert (await known(shop)).signs == ()


def of_the_order(shop: Shop) -> None:
    shop.desk.order = replace(shop.desk.order, signs=(Sign.RISK,), risk_words=("Stolen card suspected",))


def in_vain(shop: Shop) -> None:
    shop.desk.order = replace(shop.desk.order, failed_payments=3)


@pytest.mark.parametrize(("sign", "happens", "words"), [
    (Sign.RISK, of_the_order, "The store's own check of this order asks for a second look."),
    (Sign.PAYMENTS, in_vain, "Several payments of this customer failed."),
])  # fmt: skip
async def test_the_team_reads_why_and_the_shopper_only_that_somebody_looks(
    shop: Shop, client: Client, sign: Sign, happens: Callable[[Shop], None], words: str
) -> None:
    happens(shop)
    await shop.policy(Policy(signs=(sign,)))
    http = await client()
    order = f"/widget/orders/{shop.order_id}"
    decided = await http.post(f"{order}/decision", json=wish())
    assert (decided.json()["review"], decided.json()["refused"]) == (True, [])
    made = await http.post(
        f"{order}/returns", json={"wish": wish(), "digest": decided.json()["digest"], "client_id": str(new_id())}
    )
    shown = await http.get(f"/widget/returns/{made.json()['id']}")
    async with shop.app.db.transaction(shop.workspace) as tx:
        (request,) = await records.of_order(tx, shop.order_id)
    assert (request.state, request.review) == (State.REQUESTED, [sign])
    assert policy_words.review(shop.app.catalogues.translator("en"), sign) == words
    await shop.work()
    told = " ".join([decided.text, shown.text, *await shop.said(request)]).casefold()
    for accusing in ("second look", "stolen", "failed", "suspect", "fraud", '"risk', "payments"):
        assert accusing not in told, accusing


async def test_what_nobody_is_asked_about_is_not_written_down(shop: Shop) -> None:
    of_the_order(shop)
    await shop.policy(Policy())
    assert (await shop.submit()).risk_words == []


async def test_what_the_check_found_may_be_said_differently_meanwhile(shop: Shop) -> None:
    of_the_order(shop)
    await shop.policy(Policy(signs=(Sign.RISK,)))
    first = await shop.submit()
    assert first.risk_words == ["Stolen card suspected"]
    shop.desk.order = replace(shop.desk.order, risk_words=("Anything else",))
    assert (await shop.submit()).id != first.id


async def test_whoever_does_not_ask_for_it_agrees_at_once(shop: Shop) -> None:
    of_the_order(shop)
    await shop.policy(Policy(signs=(Sign.BLOCKED,)))
    request = await shop.submit()
    assert (request.state, request.review) == (State.APPROVED, [])


async def test_a_new_shop_begins_with_what_may_cost_it_money_twice(shop: Shop) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        assert (await policies.current(tx, shop.store)).policy.signs == policies.BEGINNING
