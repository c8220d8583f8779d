"""A store whose goods come back, and the two who look after it."""

from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.kernel.db import new_id
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.returns.desk import Shop, open_shop


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        store = Store(
            id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}", name="Dukkan", url="https://dukkan.example", timezone="Asia/Riyadh",
        )  # fmt: skip
        tx.add(store)
    return store


@pytest.fixture
async def noa(app: App, workspace: UUID) -> Agent:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(id=new_id(), name="Noa", email=f"{uuid4().hex}@shop.example", role=Role.ADMIN)
        tx.add(agent)
    return agent


@pytest.fixture
async def owner(app: App, workspace: UUID) -> Agent:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(name="Maya", email=f"{uuid4().hex}@shop.example", role=Role.OWNER)
        tx.add(agent)
    return agent


@pytest.fixture
async def shop(app: App, workspace: UUID, store: Store, owner: Agent) -> Shop:
    return await open_shop(app, workspace, store, owner)
