"""A store that moves takes its returns along: what is on its way goes on where the store is, once."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from plugin.app import App
from plugin.kernel.db import new_id
from plugin.returns import labels, narrowing, policies, queue, records, steps, withdrawals
from plugin.returns.labels import ReturnLabel
from plugin.returns.narrowing import Narrowed
from plugin.returns.policy import PayWhen, Policy
from plugin.returns.queue import Asked, Tab
from plugin.returns.records import ReturnLine
from plugin.returns.states import State, Times
from plugin.stores import Store
from tests.joining.conftest import Make, Merchant, joined
from tests.returns.desk import MUG, Shop, open_shop, want


async def shop_of(app: App, merchant: Merchant) -> Shop:
    return await open_shop(app, merchant.workspace_id, merchant.store, merchant.owner, name="9001")


@pytest.mark.parametrize("told", [False, True])
async def test_a_return_goes_on_where_its_store_went(app: App, merchant: Make, told: bool) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    shop = await shop_of(app, guest)
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.INSPECTED, times=Times(parcel_end=11)))
    request = await shop.submit()
    declined = await shop.submit(want((MUG, 1)))
    if told:
        await shop.work()
    before = [(one.kind, one.state) for one in await shop.steps(request)]
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        moved = await records.get(tx, request.id)
        assert (moved.state, moved.store_id, moved.worth) == (request.state, guest.store.id, request.worth)
        assert [(one.kind, one.state) for one in await steps.of_request(tx, request.id)] == before
        lines = await tx.scalars(select(ReturnLine).where(ReturnLine.workspace_id == tx.workspace_id))
        assert {line.request_id for line in lines} == {request.id, declined.id}
        times = await policies.times_of(tx, moved.store_id, moved.policy_version)
        assert times.parcel_end == 11, "the policy that judged it came along, with its times"
        page = await queue.page(tx, Asked(Tab.ALL, narrowed=Narrowed(product="p1")))
        assert [row.request.id for row in page.rows] == [request.id]
        assert narrowing.conditions(tx, Narrowed(product="p1"))
    async with app.db.transaction(guest.workspace_id) as tx:
        assert await records.of_order(tx, shop.order_id) == []
        for table in ("return_requests", "return_lines", "return_steps"):
            assert await tx.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table
    there = Shop(shop.app, host.workspace_id, guest.store, shop.order_id, shop.desk, host.owner)
    await there.work()
    assert shop.desk.told().count("OpenReturn") == 2, "each once, whichever side told the store"
    request = await there.move(request, "receive")
    assert (request.state, request.waiting_since is not None) == (State.RECEIVED, True)
    async with app.db.transaction(host.workspace_id) as tx:
        found = {line.id: {"restock": line.quantity} for line in await records.lines_of(tx, request.id)}
    await there.move(request, "inspect", found=found)
    await there.work()
    assert (await there.request(request)).paid == 5_000
    assert shop.desk.moved == 5_000


async def test_what_somebody_was_to_pay_there_waits_for_somebody_here(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    shop = await shop_of(app, guest)
    await shop.policy(Policy(automatic=False, pay_when=PayWhen.RECEIVED))
    request = await shop.submit()
    request = await shop.move(request, "approve")
    assert request.payer_id == guest.owner.id
    await shop.work()
    await joined(app, guest, host)
    there = Shop(shop.app, host.workspace_id, guest.store, shop.order_id, shop.desk, host.owner)
    request = await there.move(request, "receive")
    await there.work()
    assert (shop.desk.moved, request.waiting_since is not None) == (0, True)


async def test_what_was_still_to_be_done_is_done_where_the_store_went(app: App, merchant: Make) -> None:
    """Steps, reminders, labels and withdrawals go over with their jobs."""
    guest, host = await merchant("oud"), await merchant("kad")
    shop = await shop_of(app, guest)
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    async with app.db.transaction(guest.workspace_id) as tx:
        label = ReturnLabel(
            id=new_id(), store_id=request.store_id, order_id=request.order_id, request_id=request.id, method="label"
        )
        tx.add(label)
        await tx.enqueue("buy_label", unique=f"label:{label.id}", label_id=label.id)
        store = await tx.get(Store, guest.store.id)
        visitor = await tx.scalar(text("SELECT id FROM visitors LIMIT 1"))
        assert store is not None
        said = withdrawals.read("Mona", "9001", "mona@shop.example")
        statement = await withdrawals.declare(
            tx, store, visitor, new_id(), said, language="en", catalogues=app.catalogues
        )
    await joined(app, guest, host)
    async with app.db.queue.connect() as connection:
        rows = await connection.execute(
            text("SELECT task, coalesce(arguments ->> 'label_id', arguments ->> 'withdrawal_id', "
                 "arguments ->> 'request_id') FROM jobs WHERE workspace_id = :w AND done_at IS NULL"),
            {"w": host.workspace_id},
        )  # fmt: skip
        waiting = sorted((task, id) for task, id in rows if id is not None)
    case, mine = str(statement.id), str(request.id)
    assert waiting == sorted([
        ("carry_return", mine), ("wake_return", mine), ("buy_label", str(label.id)),
        ("send_withdrawal_receipt", case), ("sort_withdrawal", case), ("warn_withdrawal", case),
        ("warn_withdrawal", case),
    ])  # fmt: skip
    async with app.db.transaction(host.workspace_id) as tx:
        assert (await withdrawals.held(tx, statement.id))[0].digest == statement.digest
        assert [one.id for one in await labels.of_request(tx, request.id)] == [label.id]
