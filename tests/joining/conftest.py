"""Two merchants with a store each, the agreement between them, and everything a workspace holds as comparable rows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import text

from plugin import joining, stores, team, workspaces
from plugin.app import App
from plugin.conversations import attachments, messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm import identities, sync, visitors
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import (
    CartRecord,
    CustomerRecord,
    FulfilmentRecord,
    LineRecord,
    OrderRecord,
    ProductRecord,
    Record,
    StoreProfile,
    VariantRecord,
)
from plugin.reactions import TASKS
from plugin.schema import metadata
from plugin.stores import Store
from plugin.team import Agent, Role

NOW = datetime.now(UTC)


@dataclass
class Merchant:
    """A workspace with one store, its administrator who came through the store's admin, and a browser."""

    workspace_id: UUID
    owner: Agent
    store: Store
    secret: str
    talk: UUID | None = None
    visitor: str = ""

    @property
    def side(self) -> joining.Side:
        return joining.Side(self.workspace_id, self.store.id, self.owner.id)


def records(mark: str, shared: str = "") -> list[Record]:
    """A small store's history: an account, a guest, an order with a parcel, a cart, a product."""
    at = NOW - timedelta(days=3)
    lamp = LineRecord("1", f"{mark} lamp", 1, Money(100, "SAR", 2))
    return [
        CustomerRecord("1", at, shared or f"{mark}@mail.example", "", f"{mark} Layla", mark, "ar", created_at=at),
        OrderRecord("10", at, f"#{mark}-10", at, Money(100, "SAR", 2), customer_external_id="1", lines=(lamp,),
                    fulfilments=(FulfilmentRecord("f1", "in_transit", "T1", "", "SMSA", at),)),
        OrderRecord("11", at, f"#{mark}-11", at, Money(300, "SAR", 2), email=f"guest.{mark}@mail.example",
                    lines=(lamp,)),
        CartRecord("c1", at, "cart", "SAR", Money(500, "SAR", 2), "1", lines=(lamp,)),
        ProductRecord("p1", at, f"{mark} lamp", variants=(VariantRecord("v1", f"{mark} small", Money(100, "SAR", 2)),)),
    ]  # fmt: skip


Make = Callable[..., Awaitable[Merchant]]


@pytest.fixture
def merchant(app: App) -> Make:
    """Opens a merchant whose every private text holds `mark`."""

    async def make(mark: str, *, shared: str = "", platform: str = "shopify", talk: bool = True) -> Merchant:
        workspace_id, secret = workspaces.new_workspace_id(), f"hush-{mark}-{uuid4().hex}"
        async with app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, f"{mark} workspace")
            store = await add_store(app, tx, mark, secret, platform)
            owner = await team.staff_agent(
                tx, store.id, staff_id=f"staff-{mark}", name=f"{mark} owner", email=f"{mark}.owner@shop.example",
                administrator=True,
            )  # fmt: skip
            assert owner is not None
            await sync.apply(tx, store, records(mark, shared))
        made = Merchant(workspace_id, owner, store, secret)
        if talk:
            await chat(app, made, mark)
        return made

    return make


async def add_store(app: App, tx: Any, mark: str, secret: str, platform: str = "shopify") -> Store:
    profile = StoreProfile(f"{mark} store", f"https://{mark}.example", (f"https://{mark}.example",), "SAR", 2, "UTC",
                           "ar", country="SA")  # fmt: skip
    store = await stores.connect(tx, platform=platform, external_id=f"{uuid4().hex}.myshopify.com", profile=profile)
    await stores.put_credential(tx, app.vault, store.id, "access", secret)
    return store


async def chat(app: App, merchant: Merchant, mark: str) -> None:
    """A shopper who is signed in writes, with a picture; the owner answers and notes."""
    async with app.db.transaction(merchant.workspace_id) as tx:
        visitor, merchant.visitor = await visitors.open_visitor(tx, merchant.store, None, page={"title": mark})
        customer_id = await identities.customer_of_platform(tx, merchant.store.id, "1")
        if customer_id is not None:
            await visitors.identify(tx, visitor, customer_id)
        shopper = Shopper(visitor.id, merchant.store.id, customer_id)
        upload = attachments.Upload(f"{mark}.txt", "text/plain", mark.encode())
        file = await attachments.save(tx, upload, uploader=shopper.actor, store_id=merchant.store.id)
        await messages.receive(tx, shopper, new_id(), f"{mark} hello", [UUID(file["id"])])
        merchant.talk = await tx.scalar(
            text("SELECT id FROM conversations WHERE workspace_id = :w AND visitor_id = :v"),
            {"w": tx.workspace_id, "v": visitor.id},
        )
        talk = await tx.get(Conversation, merchant.talk)
        assert talk is not None
        await messages.reply(tx, talk, merchant.owner, new_id(), f"{mark} answer")
        await messages.note(tx, talk, merchant.owner, new_id(), f"{mark} note")


async def code_of(app: App, host: Merchant, browser: str) -> str:
    """A code that the host's owner makes, as it is looked up."""
    async with app.db.transaction(host.workspace_id) as tx:
        owner = await tx.get(Agent, host.owner.id)
        assert owner is not None
        code = await joining.make_code(tx, app.vault, owner, browser)
    return joining.fingerprint(app.vault, code)


async def agreed(app: App, guest: Merchant, host: Merchant) -> UUID:
    """Both agree in one browser. Returns the move's id."""
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    workspace_id, move_id = await joining.agree(app, guest.side, code, browser)
    assert workspace_id == host.workspace_id
    return move_id


async def run_move(app: App, workspace_id: UUID, move_id: UUID) -> str:
    """Run the move's job here; returns the state of the receiving side."""
    async with app.db.transaction(workspace_id) as tx:
        job = await tx.scalar(
            text("SELECT id FROM jobs WHERE workspace_id = :w AND unique_key = :key AND done_at IS NULL"),
            {"w": workspace_id, "key": f"move:{move_id}"},
        )
    if job is not None:
        await jobs.run(app.db, app, TASKS, workspace_id, job)
    async with app.db.transaction(workspace_id) as tx:
        row = await joining.standing(tx, move_id)
        assert row is not None
        return row.state


async def joined(app: App, guest: Merchant, host: Merchant) -> None:
    """The guest's store joins the host."""
    assert await run_move(app, host.workspace_id, await agreed(app, guest, host)) == joining.DONE


async def parted(app: App, host: Merchant, store_id: UUID) -> UUID:
    """The store leaves into a workspace of its own, whose id is returned."""
    move_id = await joining.part(app, host.workspace_id, store_id, by=host.owner.id)
    async with app.db.transaction(host.workspace_id) as tx:
        row = await joining.standing(tx, move_id)
        assert row is not None
        assert row.other is not None
    assert await run_move(app, row.other, move_id) == joining.DONE
    return row.other


Rows = dict[str, list[dict[str, Any]]]


async def everything(app: App, workspace_id: UUID, *, but: Sequence[str] = ()) -> Rows:
    """All rows of a workspace, of every tenant table, without the workspace's id; secrets opened."""
    found: Rows = {}
    async with app.db.transaction(workspace_id) as tx:
        for table in metadata.sorted_tables:
            if table.info.get("access", "tenant") != "tenant" or table.name in but:
                continue
            rows = await tx.scalars(text(f"SELECT CAST(to_jsonb(t) - 'workspace_id' AS text) FROM {table.name} t"))
            found[str(table.name)] = [orjson.loads(row) for row in rows]
        for row in found.get("store_credentials", ()):
            opened = await stores.credential(tx, app.vault, UUID(row["store_id"]), row["kind"])
            row["sealed"] = opened[0] if opened else None
    for rows_ in found.values():
        rows_.sort(key=orjson.dumps)
    return {name: rows_ for name, rows_ in found.items() if rows_}


def bytes_of(rows: Rows) -> bytes:
    """Everything as one text, to look for what must not be there."""
    return orjson.dumps(rows)


async def role_of(app: App, workspace_id: UUID, agent_id: UUID) -> Role | None:
    async with app.db.transaction(workspace_id) as tx:
        agent = await tx.get(Agent, agent_id)
        return Role(agent.role) if agent is not None else None
