"""`ahlan seed`: as many as asked for, the same each time, marked, found, and gone again without a trace."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from plugin import seed, stores
from plugin.app import App
from plugin.conversations import search
from plugin.kernel.config import Demo, Settings
from plugin.kernel.db import new_id
from plugin.kernel.errors import SetupError
from plugin.kernel.text import language_of
from plugin.platform import StoreProfile
from plugin.team import Agent, Role


@pytest.fixture
async def store(app: App, workspace: UUID) -> UUID:
    profile = StoreProfile("Seed shop", "https://seed-shop.example", (), "SAR", 2, "UTC", "ar")
    async with app.db.transaction(workspace) as tx:
        tx.add(Agent(id=new_id(), name="Noa", email=f"noa-{workspace}@shop.example", role=Role.AGENT))
        tx.add(Agent(id=new_id(), name="Light", email=f"light-{workspace}@shop.example", role=Role.LIGHT))
        row = await stores.connect(tx, platform="shopify", external_id=f"{workspace}.myshopify.com", profile=profile)
    return row.id


async def fill(app: App, workspace: UUID, store: UUID, conversations: int = 60, messages: int = 300) -> None:
    told: dict[str, seed.Made] = {}
    async for made in seed.seed(app, workspace, store, conversations=conversations, messages=messages):
        told[made.what] = made
    assert told["conversations"].done == conversations
    assert all(made.done == made.total for made in told.values())


async def rows(app: App, workspace: UUID, statement: str) -> list[Any]:
    async with app.db.transaction(workspace) as tx:
        return list((await tx.execute(text(statement), {"workspace": workspace})).all())


async def counted(app: App, workspace: UUID) -> dict[str, int]:
    tables = ("conversations", "messages", "conversation_tags", "tags", "customers", "orders", "customer_terms",
              "conversation_words", "store_customers", "identities")  # fmt: skip
    return {
        table: (await rows(app, workspace, f"SELECT count(*) FROM {table} WHERE workspace_id = :workspace"))[0][0]
        for table in tables
    }


async def test_it_makes_what_was_asked_for_and_takes_it_out(app: App, workspace: UUID, store: UUID) -> None:
    before = await counted(app, workspace)
    await fill(app, workspace, store)
    made = await counted(app, workspace)
    assert (made["conversations"], made["messages"], made["conversation_tags"]) == (60, 300, 60)
    assert made["customers"] == 20
    assert made["conversation_words"] >= 60
    assert await rows(app, workspace, "SELECT DISTINCT key FROM conversation_tags") == [(seed.MARK,)]
    assert not await rows(app, workspace, f"SELECT 1 FROM customers WHERE email NOT LIKE '%@{seed.DOMAIN}'")
    with pytest.raises(SetupError, match="already"):
        await fill(app, workspace, store)
    assert await seed.remove(app, workspace) == 60
    await search.drain(app)
    assert await counted(app, workspace) == before


async def test_conversations_are_as_the_product_writes_them(app: App, workspace: UUID, store: UUID) -> None:
    await fill(app, workspace, store)
    wrong = """
        SELECT c.id FROM conversations c JOIN LATERAL (
            SELECT count(*) AS held, count(seq) AS said, max(position) AS last, max(created_at) AS at,
                count(DISTINCT seq) = count(seq) AS gapless FROM messages m
            WHERE m.workspace_id = c.workspace_id AND m.conversation_id = c.id) m ON true
        WHERE m.held <> c.last_position OR m.said <> c.last_seq OR m.last <> m.held OR m.at <> c.last_message_at
            OR NOT m.gapless OR c.created_at > c.last_message_at OR c.preview = ''
            OR (c.status = 'resolved') <> (c.resolved_at IS NOT NULL)
            OR (c.status = 'snoozed') <> (c.snoozed_until IS NOT NULL)
    """
    assert not await rows(app, workspace, wrong)
    agents = await rows(app, workspace, "SELECT DISTINCT a.role FROM messages m JOIN agents a ON a.id = m.agent_id")
    assert agents == [("agent",)], "whoever may only note answers nobody"
    said = [row.text for row in await rows(app, workspace, "SELECT text FROM messages")]
    assert {language_of(one) for one in said} >= {"ar", "he", "en"}
    assert not [one for one in said if "{" in one]


async def test_the_same_number_makes_the_same(app: App, workspace: UUID, other_workspace: UUID, store: UUID) -> None:
    await fill(app, workspace, store, 30, 90)
    one = await rows(app, workspace, "SELECT text FROM messages ORDER BY created_at, position, text")
    await seed.remove(app, workspace)
    await fill(app, workspace, store, 30, 90)
    assert await rows(app, workspace, "SELECT text FROM messages ORDER BY created_at, position, text") == one


async def test_what_was_seeded_is_found(app: App, workspace: UUID, store: UUID) -> None:
    await fill(app, workspace, store)
    async with app.db.transaction(workspace) as tx:
        ids = (await search.conversations(tx, ["طلب"])).ids
        hits = await search.hits(tx, ["طلب"], ids)
    assert ids
    assert any(piece.found for hit in hits.values() for piece in hit.pieces)


def settings(**changed: Any) -> Settings:
    return Settings(data_dir=Path("unused"), **changed)


def test_it_refuses_where_real_shoppers_may_be() -> None:
    seed.refuse(settings())
    seed.refuse(settings(demo=Demo(simulator_url="http://127.0.0.1:1"), public_url="https://demo.example"))
    for real in (
        settings(public_url="https://support.shop.example"),
        settings(database_url="postgresql://db.example/ahlan"),
        settings(public_url="https://localhost.example"),
    ):
        with pytest.raises(SetupError, match="real shoppers"):
            seed.refuse(real)
