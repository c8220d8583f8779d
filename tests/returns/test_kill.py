"""Whatever dies, and whenever: the store hears each thing once, and money moves once or a person is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from sqlalchemy import text

from plugin.app import App
from plugin.kernel.db import Database, Tx
from plugin.return_desk import Disposition, OpenReturn, PayReturn
from plugin.returns import carrying, records, steps
from plugin.returns.policy import PayWhen, Policy, Resolution
from plugin.returns.records import ReturnRequest
from plugin.stores import Store
from plugin.team import Agent
from tests.returns.desk import MUG, SHIRT, Killed, Shop, ils, open_shop, want

PAYS_AT_ONCE = Policy(automatic=True, pay_when=PayWhen.APPROVED)


@dataclass(slots=True)
class Mortal(Database):
    """A database whose process dies at its commit number `at`: just before it, or just after."""

    at: int = -1
    after: bool = False
    commits: int = 0
    died: bool = False

    @asynccontextmanager
    async def transaction(self, workspace_id: UUID) -> AsyncIterator[Tx]:
        mine = self.commits
        self.commits += 1
        async with Database.transaction(self, workspace_id) as tx:
            yield tx
            if mine == self.at and not self.after:
                self.died = True
                raise Killed
        if mine == self.at:
            self.died = True
            raise Killed


async def _worked(shop: Shop) -> None:
    """Workers come and go until nothing is left to do."""
    for _life in range(6):
        with suppress(Killed):
            await shop.work("carry_return")
        await shop.hurry()


async def _is_paid_once(shop: Shop, request: ReturnRequest) -> None:
    request = await shop.request(request)
    assert [amount for _key, amount, _bonus in shop.desk.ledger] == [5_000]
    assert (request.paid, request.stuck) == (5_000, False)
    assert shop.desk.told() == ["OpenReturn", "PayReturn"]
    assert (await shop.events(request)).count("paid") == 1
    assert {step.state for step in await shop.steps(request)} == {steps.DONE}


async def _asked_a_person(shop: Shop, request: ReturnRequest) -> None:
    """Counted and never sent looks like sent and lost: nothing was done, and somebody says so after a look."""
    waiting = [step for step in await shop.steps(request) if step.state == steps.QUEUED and step.attempts]
    if not waiting:
        return
    await shop.later(hours=1)
    await _worked(shop)
    (step,) = [one for one in await shop.steps(request) if one.state == steps.UNKNOWN]
    assert step.key not in {key for key, _action in shop.desk.heard}
    assert (await shop.request(request)).stuck
    async with shop.app.db.transaction(shop.workspace) as tx:
        held = await records.held(tx, request.id)
        await carrying.not_done(tx, held, step.id, by=shop.agent)
        await carrying.look_again(tx, held, step.id, by=shop.agent)
    await _worked(shop)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_worker_dies_at_each_commit(
    app: App, workspace: UUID, store: Store, owner: Agent, *, after: bool
) -> None:
    deaths = 0
    for at in range(40):
        shop = await open_shop(app, workspace, store, owner, name=str(2000 + at))
        await shop.policy(PAYS_AT_ONCE)
        request = await shop.submit()
        db = Mortal(app.db.app, app.db.queue, app.db.outbox, at=at, after=after)
        mortal = replace(shop, app=replace(shop.app, db=db))
        await _worked(mortal)
        await _asked_a_person(shop, request)
        await _is_paid_once(shop, request)
        deaths += db.died
        if not db.died:
            break
    # Two steps, each looked at, counted and written down, and the look at the end.
    assert deaths >= 7


async def test_a_worker_dies_at_each_commit_of_a_whole_life(
    app: App, workspace: UUID, store: Store, owner: Agent
) -> None:
    """A return for which the same goes out again: each step is heard once, in its order, and the goods go out once."""
    deaths = 0
    for at in range(60):
        shop = await open_shop(app, workspace, store, owner, name=str(3000 + at))
        await shop.policy(Policy(automatic=False))
        request = await shop.submit(want((SHIRT, 1), resolution=Resolution.REPLACEMENT))
        async with shop.app.db.transaction(workspace) as tx:
            (line,) = await records.lines_of(tx, request.id)
        for name, more in (("approve", {}), ("label", {"tracking_number": "RR1"}), ("receive", {}),
                           ("inspect", {"found": {line.id: {Disposition.RESTOCK: 1}}}), ("pay", {})):  # fmt: skip
            request = await shop.move(request, name, **more)
        db = Mortal(app.db.app, app.db.queue, app.db.outbox, at=at, after=at % 2 == 1)
        mortal = replace(shop, app=replace(shop.app, db=db))
        await _worked(mortal)
        await _asked_a_person(shop, request)
        await shop.move(request, "close")
        await _worked(mortal)
        await _asked_a_person(shop, request)
        assert shop.desk.told() == [
            "OpenReturn", "LabelReturn", "ReceiveReturn", "PayReturn", "SendInstead", "EndReturn",
        ]  # fmt: skip
        assert [amount for _key, amount, _bonus in shop.desk.ledger] == [0]
        assert {step.state for step in await shop.steps(request)} == {steps.DONE}
        assert (await shop.events(request)).count("sent_instead") == 1
        deaths += db.died
        if not db.died:
            break
    # Six steps, each looked at, counted and written down.
    assert deaths >= 18


@pytest.mark.parametrize("point", ["quote", "before", "after"])
@pytest.mark.parametrize("of", [OpenReturn, PayReturn])
async def test_a_worker_dies_at_each_call(shop: Shop, point: str, of: type) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    shop.desk.kill, shop.desk.of = point, of
    await _worked(shop)
    await _asked_a_person(shop, request)
    await _is_paid_once(shop, request)


async def test_a_job_that_gave_up_is_begun_again_by_a_person(shop: Shop) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    async with shop.app.db.queue.begin() as connection:
        await connection.execute(text("UPDATE jobs SET failed_at = now() WHERE workspace_id = :w"),
                                 {"w": shop.workspace})  # fmt: skip
    await shop.work("carry_return")
    assert shop.desk.heard == []
    for _twice in range(2):
        async with shop.app.db.transaction(shop.workspace) as tx:
            held = await records.held(tx, request.id)
            await carrying.look_again(tx, held, (await steps.of_request(tx, request.id))[0].id, by=shop.agent)
    await _worked(shop)
    await _is_paid_once(shop, request)


async def test_answers_that_get_lost_are_looked_for(shop: Shop) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    shop.desk.lose = 2
    await _worked(shop)
    await _is_paid_once(shop, request)


async def test_requests_that_never_arrive_are_made_again(shop: Shop) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    shop.desk.cut = 2
    await _worked(shop)
    await _is_paid_once(shop, request)


async def test_what_leaves_no_trace_is_never_paid_again_by_itself(shop: Shop) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    shop.desk.kill, shop.desk.of, shop.desk.blind = "after", PayReturn, True
    await _worked(shop)
    await shop.later(hours=1)
    await _worked(shop)
    assert shop.desk.moved == 5_000
    step = (await shop.steps(request))[-1]
    assert (step.state, (await shop.request(request)).paid_at) == (steps.UNKNOWN, None)
    # Somebody sees it in the store's books.
    async with shop.app.db.transaction(shop.workspace) as tx:
        await carrying.was_done(tx, await records.held(tx, request.id), step.id, by=shop.agent)
    await _worked(shop)
    assert shop.desk.moved == 5_000
    assert (await shop.request(request)).paid == 5_000


async def test_money_is_not_asked_about_when_the_platform_may_have_forgotten_our_key(shop: Shop) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    shop.desk.kill, shop.desk.of = "after", PayReturn
    with suppress(Killed):
        await shop.work("carry_return")
    await shop.later(hours=13)
    await _worked(shop)
    assert (await shop.steps(request))[-1].state == steps.UNKNOWN
    assert shop.desk.moved == 5_000


async def test_a_store_that_was_disconnected_is_a_matter_for_a_person(shop: Shop) -> None:
    await shop.policy(PAYS_AT_ONCE)
    request = await shop.submit()
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await tx.get(Store, shop.store.id)
        assert store is not None
        store.status = "uninstalled"
    await _worked(shop)
    step = (await shop.steps(request))[0]
    assert (step.state, step.code, shop.desk.heard) == (steps.FAILED, "disconnected", [])


async def test_two_returns_of_an_order_do_not_pay_at_once(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.RECEIVED))
    first, second = await shop.submit(want((SHIRT, 1))), await shop.submit(want((MUG, 1)))
    await shop.move(first, "receive")
    second = await shop.move(second, "receive")
    assert second.waiting_since is not None, "the money of the first is on its way: somebody pays the second"
    await _worked(shop)
    await shop.move(second, "pay", by=shop.agent)
    await _worked(shop)
    assert sorted(amount for _key, amount, _bonus in shop.desk.ledger) == [2_000, 5_000]
    assert shop.desk.order.paid == ils(12_000)
