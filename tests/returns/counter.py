"""A store with orders, browsers of shoppers, and a real mail server that codes arrive at."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from integrations.channels.email.send import EmailChannel
from plugin import stores
from plugin.app import App
from plugin.channel import Account, Outbound
from plugin.conversations.conversations import EMAIL, Shopper
from plugin.crm import sync
from plugin.crm.orders import Order
from plugin.crm.visitors import Visitor
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import Address, LineRecord, OrderRecord, StoreProfile
from plugin.reactions import TASKS
from plugin.stores import Store
from tests.mailroom import Post, smtp_server

NOW = datetime.now(UTC)


@dataclass
class Phone:
    """The channel that a phone's messages go out by."""

    kind: str = "sms"
    sent: list[Outbound] = field(default_factory=list)

    def ready(self, account: Account | None) -> bool:
        return True

    async def send(self, message: Outbound) -> str:
        self.sent.append(message)
        return message.key


@dataclass
class Desk:
    """One store of one workspace, and what arrives from it."""

    app: App
    workspace: UUID
    store: Store
    post: Post

    async def order(self, name: str = "#1001", **more: Any) -> UUID:
        """An order that the store told of; returns our id of it."""
        external = more.pop("external_id", uuid4().hex)
        record = OrderRecord(
            external_id=external,
            version=NOW,
            name=name,
            placed_at=more.pop("placed_at", NOW - timedelta(days=3)),
            total=Money(12_000, "SAR", 2),
            lines=more.pop("lines", (LineRecord("l1", "Kettle", 2, Money(6_000, "SAR", 2)),)),
            **more,
        )
        async with self.app.db.transaction(self.workspace) as tx:
            store = await stores.get(tx, self.store.id)
            assert store is not None
            await sync.apply(tx, store, [record])
            return UUID(str((await tx.scalars(select(Order.id).where(Order.external_id == external))).one()))

    async def browser(self, customer_id: UUID | None = None) -> Shopper:
        async with self.app.db.transaction(self.workspace) as tx:
            visitor = Visitor(id=new_id(), store_id=self.store.id, secret_hash=uuid4().bytes)
            tx.add(visitor)
        return Shopper(visitor.id, self.store.id, customer_id, locale="en")

    async def work(self) -> None:
        """Run what is due in this workspace."""
        for workspace_id, job_id, *_rest in await jobs.due(self.app.db, 100_000):
            if workspace_id == self.workspace:
                await jobs.run(self.app.db, self.app, TASKS, workspace_id, job_id)

    def codes(self) -> list[str]:
        """The codes that were mailed, the oldest first."""
        found = []
        for mail in self.post.mails:
            body = mail.get_body(("plain",))
            assert body is not None
            found += re.findall(r"(?m)^\W*(\d{6})\W*$", body.get_content())
        return found


HOME = Address(name="Mona", line1="1 King Road", city="Riyadh", country="SA", phone="0501234567")


@pytest.fixture
async def desk(app: App, workspace: UUID) -> AsyncIterator[Desk]:
    """A connected store in Saudi Arabia that can send mail."""
    profile = StoreProfile("Dukkan", "https://dukkan.example", (), "SAR", 2, "Asia/Riyadh", "ar", country="SA")
    async with app.db.transaction(workspace) as tx:
        store = await stores.connect(
            tx, platform="shopify", external_id=f"{uuid4().hex}.myshopify.com", profile=profile
        )
    async with smtp_server() as post:
        email = EmailChannel(f"smtp://127.0.0.1:{post.port}", "noreply@ahlan.example")
        yield Desk(replace(app, channels={**app.channels, EMAIL: email}), workspace, store, post)
        await email.close()
