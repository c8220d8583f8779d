"""The demo's bot: on in both stores, with a name, on the demo's help centre."""

from sqlalchemy import select

from plugin import stores
from plugin.app import App
from plugin.bot import bots
from plugin.kernel.db import Tx
from plugin.team import Agent, Role


async def furnish(app: App, tx: Tx) -> int:
    """Switch it on where nobody ever set one. Returns how many stores have one now that had none."""
    owner = await tx.scalar(
        select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER).limit(1)
    )
    if owner is None:
        return 0
    made = 0
    for store in await stores.all_stores(tx):
        if store.status != stores.CONNECTED or await bots.of_store(tx, store.id) is not None:
            continue
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        bot.enabled, bot.tone = True, bots.Tone.WARM
        await bots.save(tx, bot, before, by=owner, languages=app.catalogues.codes)
        made += 1
    return made
