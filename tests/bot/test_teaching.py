"""Which article answers which topic: read again when the models that were away are there."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text, update

from plugin.app import App
from plugin.bot import bots
from plugin.kernel.jobs import JobRow
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import Models, set_bot, settle


async def test_titles_that_nobody_could_read_are_read_when_the_models_are_there(
    app: App, thinking: App, workspace: UUID, store: Store, maya: Agent, models: Models, shop: dict[str, UUID]
) -> None:
    models.reads("Engraving rings", "gift_wrap")
    await set_bot(app, workspace, store, maya)
    await settle(app, workspace)
    assert "gift_wrap" not in await found(app, workspace, store)
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            update(JobRow).where(JobRow.task == "teach_bot", JobRow.done_at.is_(None)).values(run_at=text("now()"))
        )
    await settle(thinking, workspace)
    assert (await found(app, workspace, store))["gift_wrap"] == str(shop["engraving"])


async def found(app: App, workspace: UUID, store: Store) -> dict[str, str]:
    async with app.db.transaction(workspace) as tx:
        bot = await bots.of_store(tx, store.id)
        assert bot is not None
        return dict(bot.found)
