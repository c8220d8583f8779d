"""A workspace with an owner, and a way to add people to it."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from plugin import stores, team
from plugin.app import App
from plugin.platform import StoreProfile
from plugin.stores import Store
from plugin.team import Agent, Role

Hire = Callable[..., Awaitable[Agent]]


@pytest.fixture
def hire(app: App, workspace: UUID) -> Hire:
    async def hire(role: Role, name: str = "") -> Agent:
        async with app.db.transaction(workspace) as tx:
            return await team.add(tx, name=name or role.value, email=f"{uuid4().hex}@shop.example", role=role)

    return hire


@pytest.fixture
async def owner(hire: Hire) -> Agent:
    return await hire(Role.OWNER)


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    profile = StoreProfile("Shop", "https://shop.example", (), "SAR", 2, "UTC", "ar")
    async with app.db.transaction(workspace) as tx:
        return await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.example", profile=profile)
