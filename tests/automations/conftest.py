"""A store, shoppers and agents, with rules to write."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.automations import automation, conditions
from plugin.automations.automation import Draft, RuleRow
from plugin.automations.rules import Deed, Do, Trigger
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Shopper
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.reactions import TASKS
from plugin.team import Agent, Role
from tests.conversations.conftest import make_shopper as make_shopper
from tests.conversations.conftest import noa as noa
from tests.conversations.conftest import omar as omar
from tests.conversations.conftest import shopper as shopper
from tests.conversations.conftest import store as store

Write = Callable[..., Awaitable[RuleRow]]
Says = Callable[..., Awaitable[UUID]]


def deed(do: str, value: str = "", **texts: str) -> Deed:
    return Deed(Do(do), value, texts)


def draft(trigger: str, asked: str, *deeds: Deed, **more: Any) -> Draft:
    return Draft(more.pop("name", f"{trigger} {asked}"[:80]), Trigger(trigger), conditions.parse(asked), deeds, **more)


@pytest.fixture
async def boss(app: App, workspace: UUID) -> Agent:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(id=new_id(), name="Boss", email=f"{uuid4().hex}@shop.example", role=Role.ADMIN)
        tx.add(agent)
    return agent


@pytest.fixture
async def write(app: App, workspace: UUID, boss: Agent) -> Write:
    """Writes a rule; the starter set is left out, so that a test knows all the rules there are."""
    await jobs.drain(app.db, app, {**TASKS, "plant_rules": _leave_out}, workspace_id=workspace)

    async def write(trigger: str, asked: str, *deeds: Deed, **more: Any) -> RuleRow:
        async with app.db.transaction(workspace) as tx:
            return await automation.save(tx, draft(trigger, asked, *deeds, **more), by=boss)

    return write


async def _leave_out(app: App, workspace_id: UUID, **arguments: Any) -> None:
    return None


@pytest.fixture
def says(app: App, workspace: UUID) -> Says:
    """A shopper writes; returns the conversation. What follows is done by `settle`."""

    async def says(shopper: Shopper, text: str) -> UUID:
        async with app.db.transaction(workspace) as tx:
            await messages.receive(tx, shopper, uuid4(), text)
            head = await conversations.current(tx, shopper)
            assert head is not None
            return head.id

    return says


async def settle(app: App, workspace: UUID) -> None:
    """What follows what was written: every job that is due."""
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
