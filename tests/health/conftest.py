"""A connected store whose deliveries, comparisons and checks are as a test says, and mail that goes into a list."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import select, text

from plugin import stores, team
from plugin.app import App
from plugin.channel import Outbound
from plugin.crm import sync
from plugin.crm.backfill import Backfill
from plugin.crm.reconcile import Reconciliation
from plugin.health import alerts, incidents, state
from plugin.health.incidents import Incident
from plugin.health.state import Health
from plugin.kernel import jobs
from plugin.kernel.db import Tx, new_id
from plugin.kernel.jobs import JobRow, TaskError
from plugin.kernel.money import Money
from plugin.platform import Finding, OrderRecord, Resource, StoreProfile
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent, Role


@dataclass
class Post:
    """A mail channel that keeps what it was given, refuses whom it is told to, and dies when told to."""

    kind: str = "email"
    mails: list[Outbound] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    dies_after: int | None = None

    def ready(self, account: object) -> bool:
        return True

    async def send(self, message: Outbound) -> str:
        if message.recipient in self.refused:
            raise TaskError("no such address", retry=False)
        if self.dies_after is not None and len(self.mails) >= self.dies_after:
            self.dies_after = None
            raise ConnectionResetError("killed")
        self.mails.append(message)
        return f"<{message.key}@test>"


@dataclass
class World:
    """One store, and the time that everything here goes by."""

    app: App
    workspace: UUID
    store: Store
    post: Post
    now: datetime

    async def delivered(self, *at: datetime, topic: str = "orders/updated", **columns: Any) -> list[int]:
        """Deliveries that came at these times, and were written a second later unless `columns` say otherwise."""
        ids = []
        async with self.app.db.queue.begin() as connection:
            for moment in at:
                row = {
                    "workspace": self.workspace, "store": self.store.id, "key": uuid4().hex, "topic": topic,
                    "at": moment, "done": moment + timedelta(seconds=1), "parked": None, "error": "", "headers": "{}",
                }  # fmt: skip
                ids.append(await connection.scalar(_DELIVERY, {**row, **columns}))
        return ids

    async def compared(self, at: datetime) -> None:
        """All of the store is read, and was compared at `at`."""
        async with self.app.db.transaction(self.workspace) as tx:
            for table in (Backfill, Reconciliation):
                await tx.execute(text(f"DELETE FROM {table.__tablename__}"))
            for resource in Resource:
                tx.add(Backfill(id=new_id(), store_id=self.store.id, resource=resource, state="done", finished_at=at))
                tx.add(Reconciliation(store_id=self.store.id, resource=resource, compared_until=at, deep_at=at))
            await tx.execute(text("UPDATE stores SET checked_at = :at"), {"at": at})

    async def missed(self, at: datetime, count: int) -> None:
        """Asked, the platform showed orders placed at `at` that it had not told us about."""
        async with self.app.db.transaction(self.workspace) as tx:
            store = await tx.get(Store, self.store.id, lock=True)
            assert store is not None
            for number in range(count):
                key = f"{at.timestamp()}-{number}"
                await sync.apply(tx, store, [OrderRecord(key, at, f"#{number}", at, Money(100, "SAR", 2))])

    async def gap(self, at: datetime, count: int, ids: tuple[str, ...] = ()) -> None:
        """A comparison at `at` found orders that nobody had told us about."""
        data = {"resource": "orders", "count": count, "missed": list(ids)}
        async with self.app.db.transaction(self.workspace) as tx:
            await tx.record("store.gap", subject_id=self.store.id, store_id=self.store.id, data=data, at=at)

    async def found(self, *findings: Finding) -> None:
        """What the last check found."""
        rows = [{"code": one.code, "ok": one.ok, "detail": one.detail} for one in findings]
        async with self.app.db.transaction(self.workspace) as tx:
            await tx.execute(text("UPDATE stores SET findings = CAST(:rows AS jsonb)"),
                             {"rows": orjson.dumps(rows).decode()})  # fmt: skip

    async def health(self) -> Health:
        """The store's state now."""
        async with self.app.db.transaction(self.workspace) as tx:
            store = await tx.get(Store, self.store.id, lock=True)
            assert store is not None
            return await state.read(tx, store, self.now)

    async def look(self) -> None:
        """One look at the store at this world's time, and the mails that follow it."""
        async with self.app.db.transaction(self.workspace) as tx:
            await alerts.look(tx, self.store.id, self.now, mail=True)
        await self.mail()

    async def mail(self, rounds: int = 4) -> None:
        """Run the mail jobs, again after a death."""
        for _ in range(rounds):
            async with self.app.db.transaction(self.workspace) as tx:
                waiting = list(await tx.scalars(
                    select(JobRow.id).where(JobRow.task == "mail_alert", JobRow.done_at.is_(None))
                ))  # fmt: skip
                await tx.execute(text("UPDATE jobs SET run_at = now() WHERE task = 'mail_alert' AND done_at IS NULL"))
            if not waiting:
                return
            for id in waiting:
                await jobs.run(self.app.db, self.app, TASKS, self.workspace, id)

    async def incidents(self) -> list[Incident]:
        """Every incident, oldest first."""
        async with self.app.db.transaction(self.workspace) as tx:
            return list(await tx.scalars(select(Incident).order_by(Incident.opened_at)))

    async def open(self) -> list[str]:
        """Codes of what lasts."""
        async with self.app.db.transaction(self.workspace) as tx:
            return [one.problem.code for one in await incidents.open_now(tx)]


_DELIVERY = text(
    "INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, workspace_id, store_id, "
    "received_at, done_at, parked_at, error) VALUES ('shopify', :key, 'store', 'x', :topic, '{\"secret\": 1}', "
    "CAST(:headers AS jsonb), :workspace, :store, :at, :done, :parked, :error) RETURNING id"
)

Add = Callable[..., Awaitable[Agent]]


@pytest.fixture
def add(app: App, workspace: UUID) -> Add:
    """Adds a member of the team."""

    async def added(name: str, role: Role, locale: str = "en", **more: Any) -> Agent:
        async with app.db.transaction(workspace) as tx:
            agent = await team.add(tx, name=name, email=f"{name}@shop.example", role=role, locale=locale)
            for key, value in more.items():
                setattr(agent, key, value)
            return agent

    return added


async def connect(tx: Tx, name: str) -> Store:
    profile = StoreProfile(name, f"https://{name}.example", (), "SAR", None, "UTC", "ar", country="SA")
    store = await stores.connect(tx, platform="shopify", external_id=f"{name}-{tx.workspace_id}", profile=profile)
    store.installed_at = datetime.now(UTC) - timedelta(days=60)
    return store


@pytest.fixture
async def world(app: App, workspace: UUID) -> World:
    """A store that is well: compared five minutes ago, and an order told every twenty minutes until a while ago."""
    post, now = Post(), datetime.now(UTC)
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "dukkan")
    world = World(replace(app, channels={"email": post}), workspace, store, post, now)
    await world.compared(now - timedelta(minutes=5))
    await world.delivered(*(now - timedelta(minutes=4) - timedelta(minutes=20) * number for number in range(60)))
    return world
