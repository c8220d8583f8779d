"""Versions of a store's policy."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from plugin.app import App
from plugin.kernel.errors import Conflict
from plugin.returns import policies
from plugin.returns.policy import Policy
from plugin.stores import Store
from plugin.team import Agent


async def test_a_store_begins_with_the_products_own_in_its_time_zone(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        first = await policies.current(tx, store)
        again = await policies.current(tx, store)
    assert (first.number, first.agent_id, first.id) == (1, None, again.id)
    assert first.policy == Policy(zone="Asia/Riyadh", signs=policies.BEGINNING)


async def test_what_was_judged_by_an_older_version_still_has_it(
    app: App, workspace: UUID, store: Store, noa: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        first = await policies.current(tx, store)
        newer = replace(first.policy, bonus_percent=5)
        second = await policies.publish(tx, store, newer, after=1, by=noa)
    async with app.db.transaction(workspace) as tx:
        assert (second.number, second.agent_id, (await policies.current(tx, store)).policy) == (2, noa.id, newer)
        kept = await policies.version(tx, first.id)
        assert kept is not None
        assert kept.policy.bonus_percent == 0
        assert [one.number for one in await policies.history(tx, store.id)] == [2, 1]


async def test_publishing_the_same_makes_no_version(app: App, workspace: UUID, store: Store, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        first = await policies.current(tx, store)
        assert (await policies.publish(tx, store, first.policy, after=1, by=noa)).id == first.id


async def test_of_two_who_publish_at_once_one_is_told(app: App, workspace: UUID, store: Store, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        policy = (await policies.current(tx, store)).policy

    async def publish(percent: int) -> int:
        async with app.db.transaction(workspace) as tx:
            return (await policies.publish(tx, store, replace(policy, bonus_percent=percent), after=1, by=noa)).number

    told = await asyncio.gather(publish(1), publish(2), return_exceptions=True)
    assert sorted(type(one).__name__ for one in told) == ["Conflict", "int"]
    with pytest.raises(Conflict):
        await publish(3)


async def test_another_tenant_sees_nothing(app: App, workspace: UUID, other_workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        first = await policies.current(tx, store)
    async with app.db.transaction(other_workspace) as tx:
        assert await policies.version(tx, first.id) is None
        assert await policies.history(tx, store.id) == []
