"""A return on both platforms, from the shopper's request to money on the store's own books, to the minor unit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin import stores, team
from plugin.app import App
from plugin.crm import actions, sync
from plugin.crm.actions import ActionRow
from plugin.crm.orders import Order
from plugin.kernel.errors import Conflict
from plugin.platform import Refund, RefundLine
from plugin.return_desk import Disposition, marked
from plugin.returns import records, steps
from plugin.returns.policy import PayWhen, Policy
from plugin.returns.states import State, Who
from plugin.team import Role
from tests.desks.conftest import Counter
from tests.desks.conftest import counter as counter
from tests.desks.conftest import shop as shop
from tests.desks.conftest import shopify as shopify
from tests.desks.conftest import woo as woo
from tests.desks.conftest import world as world
from tests.returns.desk import Shop as Till
from tests.returns.desk import want


@pytest.fixture
async def till(app: App, counter: Counter) -> Till:
    """The counter's order in the CRM, with somebody who looks after its returns."""
    workspace = counter.connection.workspace_id
    read = await counter.platform.read_order(counter.connection, counter.order)
    async with app.db.transaction(workspace) as tx:
        store = await stores.get(tx, counter.connection.store_id)
        assert store is not None
        await sync.apply(tx, store, read)
        order: UUID = await tx.scalar(
            select(Order.id).where(Order.workspace_id == workspace, Order.external_id == counter.order)
        )
        agent = await team.add(tx, name="Maya", email=f"{uuid4().hex}@x.example", role=Role.OWNER)
    ours = replace(app, platforms={counter.kind: counter.platform})
    return Till(ours, workspace, store, order, counter.platform, agent)


async def test_a_return_ends_with_its_money_on_the_stores_books(till: Till, counter: Counter) -> None:
    await till.policy(Policy(automatic=True, pay_when=PayWhen.INSPECTED))
    line = (await counter.lines())[0]
    request = await till.submit(want((line.external_id, 1)))
    await till.work("carry_return", "tell_return")
    assert (await till.request(request)).state == State.APPROVED
    assert await counter.moved() == []
    request = await till.move(request, "ship", by=Who.SHOPPER, tracking_number="RR1", carrier="DHL")
    request = await till.move(request, "receive")
    async with till.app.db.transaction(till.workspace) as tx:
        found = {one.id: {Disposition.RESTOCK: one.quantity} for one in await records.lines_of(tx, request.id)}
    request = await till.move(request, "inspect", found=found)
    await till.work("carry_return", "tell_return")
    request = await till.request(request)
    told = [(step.kind, step.state, step.code, step.said) for step in await till.steps(request)]
    assert {state for _kind, state, _code, _said in told} == {steps.DONE}, told
    assert sum(await counter.moved()) == request.cash == request.paid
    assert (request.state, request.stuck) == (State.PAID, False)
    # What the store tells of its refund is matched to its return, and changes nothing about it.
    before = (request.moves, request.paid, await till.events(request))
    async with till.app.db.transaction(till.workspace) as tx:
        (refund,) = await tx.scalars(records.refunds_of(tx, till.order_id))
        assert marked(refund.reason) == (request.number, (await steps.payment(tx, request.id)).key)
        assert refund.amount == request.paid
        await tx.record("order.refunded", subject_id=till.order_id, store_id=till.store.id)
    await till.work()
    request = await till.request(request)
    assert (request.moves, request.paid, await till.events(request)) == before
    await till.move(request, "close")
    await till.work("carry_return", "follow_store")
    async with till.app.db.transaction(till.workspace) as tx:
        assert [one.id for one in await records.of_order(tx, till.order_id)] == [request.id], "no second one of our own"
    assert {step.state for step in await till.steps(request)} == {steps.DONE}
    assert sum(await counter.moved()) == request.cash


async def test_an_answer_that_gets_lost_on_the_way_pays_once(till: Till, counter: Counter) -> None:
    await till.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    line = (await counter.lines())[0]
    request = await till.submit(want((line.external_id, 1)))
    counter.wire.lose = 1
    for _round in range(8):
        await till.work("carry_return")
        await till.hurry()
    await till.later(hours=1)
    await till.work("carry_return")
    request = await till.request(request)
    assert sum(await counter.moved()) in (0, request.cash)
    assert (request.paid_at is not None) or request.stuck
    if request.paid_at is not None:
        assert sum(await counter.moved()) == request.paid


async def test_an_order_refund_that_was_looked_at_before_a_return_paid_is_held_back(
    till: Till, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the store's own news of it arrives: what was shown then is more than the order has left now."""
    await till.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    line = (await counter.lines())[0]
    whole = Refund(lines=(RefundLine(line.external_id, line.quantity),))
    async with till.app.db.transaction(till.workspace) as tx:
        store = await stores.get(tx, counter.connection.store_id)
        assert store is not None
        store.scopes = [*store.scopes, "write_orders"]  # what Shopify's refunds ask for
    quote = await counter.platform.quote(counter.connection, counter.order, whole)

    async def looked_at() -> ActionRow:
        async with till.app.db.transaction(till.workspace) as tx:
            order = await tx.get(Order, till.order_id)
            assert order is not None
            return await actions.prepare(tx, order, whole, quote, by=till.agent)

    async def silent(*_asked: Any) -> tuple[()]:
        return ()

    stale = await looked_at()
    # What the store has to say of it is not here yet: the order itself stands as it was looked at.
    monkeypatch.setattr(counter.platform, "read_order", silent)
    request = await till.submit(want((line.external_id, 1)))
    await till.work("carry_return")
    assert (await till.request(request)).paid_at is not None
    paid = await counter.moved()
    async with till.app.db.transaction(till.workspace) as tx:
        with pytest.raises(Conflict, match="changed meanwhile"):
            await actions.confirm(tx, stale.id, by=till.agent, amount=str(stale.amount))
    assert await counter.moved() == paid
    fresh = await looked_at()
    async with till.app.db.transaction(till.workspace) as tx:
        assert (await actions.confirm(tx, fresh.id, by=till.agent, amount=str(fresh.amount))).state == actions.SENT
