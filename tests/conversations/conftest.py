"""A store with a visitor, and people to talk to."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.conversations.conversations import Shopper
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.stores import Store
from plugin.team import Agent, Role

MakeShopper = Callable[[], Awaitable[Shopper]]


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        store = Store(
            id=new_id(),
            platform="shopify",
            external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}",
            name="Dukkan",
            url="https://dukkan.example",
        )
        tx.add(store)
    return store


@pytest.fixture
def make_shopper(app: App, workspace: UUID, store: Store) -> MakeShopper:
    async def make() -> Shopper:
        async with app.db.transaction(workspace) as tx:
            visitor = Visitor(id=new_id(), store_id=store.id, secret_hash=uuid4().bytes)
            tx.add(visitor)
        return Shopper(visitor.id, store.id)

    return make


@pytest.fixture
async def shopper(make_shopper: MakeShopper) -> Shopper:
    return await make_shopper()


async def _agent(app: App, workspace: UUID, name: str) -> Agent:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(
            id=new_id(), name=name, email=f"{uuid4().hex}@shop.example", role=Role.AGENT, last_seen_at=datetime.now(UTC)
        )
        tx.add(agent)
    return agent


@pytest.fixture
async def noa(app: App, workspace: UUID) -> Agent:
    return await _agent(app, workspace, "Noa")


@pytest.fixture
async def omar(app: App, workspace: UUID) -> Agent:
    return await _agent(app, workspace, "Omar")
