"""People who write articles, and a way to have one."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from plugin import team
from plugin.app import App
from plugin.knowledge import articles, search
from plugin.knowledge.articles import Kind
from plugin.team import Agent, Role

Write = Callable[..., Awaitable[UUID]]


async def _member(app: App, workspace: UUID, name: str, role: Role) -> Agent:
    async with app.db.transaction(workspace) as tx:
        return await team.add(tx, name=name, email=f"{uuid4().hex}@shop.example", role=role)


@pytest.fixture
async def maya(app: App, workspace: UUID) -> Agent:
    """Who may publish."""
    return await _member(app, workspace, "Maya", Role.ADMIN)


@pytest.fixture
async def omar(app: App, workspace: UUID) -> Agent:
    """Who writes drafts."""
    return await _member(app, workspace, "Omar", Role.AGENT)


@pytest.fixture
def article(app: App, workspace: UUID, maya: Agent) -> Write:
    """Writes and publishes an article with a text for each language given (the first is its source)."""

    async def write(kind: Kind = Kind.ARTICLE, publish: bool = True, **texts: tuple[str, str]) -> UUID:
        async with app.db.transaction(workspace) as tx:
            made = await articles.create(tx, maya.id, kind, next(iter(texts)))
            for code, (title, body) in texts.items():
                await articles.write(tx, made, code, title, body, by=maya.id)
                if publish:
                    await articles.publish(tx, made, code, by=maya)
            await search.index(tx, [made.id])
        return made.id

    return write
