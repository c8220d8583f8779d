"""Erasing exactly one store's share, handing data out, forgetting in time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from plugin import privacy, stores
from plugin.app import App
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.crm import batch, customers, identities, sync, visitors
from plugin.kernel import jobs
from plugin.kernel.db import Tx, new_id
from plugin.kernel.jobs import JobRow
from plugin.kernel.money import Money
from plugin.platform import (
    Address,
    CartRecord,
    CustomerRecord,
    LineRecord,
    OrderPart,
    OrderRecord,
    Record,
    ReturnRecord,
    StoreProfile,
)
from plugin.privacy import AccessLog, PrivacyRequest
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent, Role
from webhooks import inbox

T = datetime(2026, 7, 1, tzinfo=UTC)

TENANT_TABLES = (
    "customers", "store_customers", "customer_terms", "identities", "customer_merges", "orders", "order_lines",
    "order_returns", "carts", "products", "visitors", "conversations", "messages", "attachments", "events",
    "tombstones", "privacy_requests",
)  # fmt: skip


async def connect(tx: Tx, name: str) -> Store:
    profile = StoreProfile(name, f"https://{name}.example", (), "SAR", None, "UTC", "ar", country="SA")
    return await stores.connect(tx, platform="shopify", external_id=f"{name}-{tx.workspace_id}", profile=profile)


def records(store: str, email: str = "nura@example.com", name: str = "Nura") -> Sequence[Record]:
    """What one store knows of a person: every text names the store."""
    account = "gid://shopify/Customer/7"
    address = Address(name=f"{name} {store}", city=f"City of {store}")
    return [
        CustomerRecord(account, T, email, "+966501234567", name, store, addresses=(address,), raw={"of": store}),
        OrderRecord("gid://shopify/Order/11", T, f"#{store}-11", T, Money(1000, "SAR", 2), customer_external_id=account,
                    email=email, customer_name=f"{name} {store}", shipping_address=address, note=f"ring, {store}",
                    lines=(LineRecord("l", f"Tea of {store}", 1, None),),
                    returns=(ReturnRecord("b", "requested", f"#{store}-11-R1", T),), raw={"of": store}),
        # Its order never came, and nothing but the store can take it along.
        OrderPart("gid://shopify/Order/12", T, returned=ReturnRecord("w", "requested", f"#{store}-12-R1", T)),
        CartRecord("c", T, "cart", "SAR", customer_external_id=account,
                   lines=(LineRecord("l", f"Cup of {store}", 1, None),)),
    ]  # fmt: skip


async def talk(tx: Tx, store: Store, customer_id: UUID | None, words: str) -> Conversation:
    """A conversation with one message, begun in a browser that was known or not."""
    visitor, _ = await visitors.open_visitor(tx, store, None)
    if customer_id is not None:
        await visitors.identify(tx, visitor, customer_id)
    row = Conversation(id=new_id(), store_id=store.id, customer_id=customer_id, visitor_id=visitor.id, channel="widget",
                       last_seq=1, last_position=1)  # fmt: skip
    tx.add(row)
    await tx.flush()
    tx.add(Message(id=new_id(), conversation_id=row.id, store_id=store.id, seq=1, position=1, client_id=new_id(),
                   author="shopper", text=words))  # fmt: skip
    await tx.record("conversation.started", subject_id=row.id, store_id=store.id, customer_id=customer_id)
    await tx.flush()
    return row


@pytest.fixture
def everything() -> Callable[[Tx], Awaitable[str]]:
    """All a workspace holds, as one text to look for names in."""

    async def read(tx: Tx) -> str:
        found = [
            str(row)
            for table in TENANT_TABLES
            for row in await tx.scalars(text(f"SELECT CAST(to_jsonb(x) AS text) FROM {table} x"))
        ]
        return "\n".join(found)

    return read


async def state(tx: Tx) -> dict[str, Any]:
    """What is left, without ids and clocks."""
    return {
        "profiles": sorted(
            await tx.scalars(text("SELECT s.name || p.external_id || p.email || p.last_name FROM store_customers p "
                                  "JOIN stores s ON s.id = p.store_id"))
        ),
        "people": [
            (row.name, row.email, row.orders_count, row.value) for row in (await customers.search(tx)).customers
        ],
        "words": sorted(await tx.scalars(text("SELECT term FROM customer_terms"))),
        "orders": sorted(await tx.scalars(text("SELECT name || customer_name FROM orders"))),
        "talks": sorted(await tx.scalars(text("SELECT text FROM messages"))),
        "handles": sorted(await tx.scalars(text("SELECT kind || value FROM identities"))),
    }  # fmt: skip


async def run_jobs(app: App, workspace: UUID) -> None:
    """Run what this workspace's requests wait for."""
    async with app.db.transaction(workspace) as tx:
        asked = JobRow.task.in_(["redact_customer", "redact_store", "data_request"])
        waiting = list(await tx.scalars(select(JobRow.id).where(asked, JobRow.done_at.is_(None))))
    for id in waiting:
        await jobs.run(app.db, app, TASKS, workspace, id)


async def leave(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        gone = await tx.get(Store, store.id)
        assert gone is not None
        gone.status, gone.uninstalled_at = stores.UNINSTALLED, datetime.now(UTC)


async def test_a_redacted_store_takes_exactly_its_share(
    app: App, workspace: UUID, everything: Callable[[Tx], Awaitable[str]]
) -> None:
    async with app.db.transaction(workspace) as tx:
        alpha, beta = await connect(tx, "alpha"), await connect(tx, "beta")
        await sync.apply(tx, beta, records("beta"))
        nura = await identities.customer_of_platform(tx, beta.id, "gid://shopify/Customer/7")
        await talk(tx, beta, nura, "hello beta")
        alone = await state(tx)
        await sync.apply(
            tx, alpha, [*records("alpha"), CustomerRecord("8", T, "only@example.com", first_name="Only alpha")]
        )
        there = await identities.customer_of_platform(tx, alpha.id, "gid://shopify/Customer/7")
        await talk(tx, alpha, there, "hello alpha")
        await talk(tx, alpha, None, "hello unknown of alpha")
        assert len((await customers.search(tx, "nura")).customers) == 1
        together = await state(tx)
        assert max(count for _, _, count, _ in together["people"]) == 2
    await leave(app, workspace, alpha)
    async with app.db.transaction(workspace) as tx:
        store = await tx.get(Store, alpha.id)
        assert store is not None
        notice = {"shop_id": 1, "shop_domain": "alpha"}
        assert await privacy.receive(tx, store, "shop_redact", notice, datetime.now(UTC))
        assert not await privacy.receive(tx, store, "shop_redact", {"shop_domain": "alpha"},
                                         await tx.scalar(select(PrivacyRequest.asked_at)))  # fmt: skip
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert await state(tx) == alone
        assert "alpha" not in await everything(tx)
        row = await tx.scalar(select(PrivacyRequest))
        assert (row.state, row.result["counts"]["orders"], row.result["counts"]["conversations"]) == ("done", 1, 2)
        assert row.due_at - row.asked_at == timedelta(days=30)


async def test_a_store_is_redacted_beside_who_holds_it_and_waits_for_a_turn_to_write(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "blue")
        await sync.apply(tx, store, records("blue"))
    await leave(app, workspace, store)
    async with app.db.transaction(workspace) as tx:
        gone = await tx.get(Store, store.id)
        assert gone is not None
        assert await privacy.receive(tx, gone, "shop_redact", {"shop_domain": "blue"}, datetime.now(UTC))
    async with app.db.transaction(workspace) as webhook:
        assert await stores.held(webhook, store.id) is not None
        erasing = asyncio.create_task(run_jobs(app, workspace))
        await asyncio.wait({erasing}, timeout=0.5)
        await batch.lock(webhook)
    await erasing
    async with app.db.transaction(workspace) as tx:
        (request,) = list(await tx.scalars(select(PrivacyRequest)))
        assert request.state == "done"
        again = select(JobRow.last_error).where(JobRow.task == "redact_store", JobRow.attempts > 1)
        assert list(await tx.scalars(again)) == []


async def test_a_store_that_came_back_keeps_its_data(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "alpha")
        await sync.apply(tx, store, records("alpha"))
        await privacy.receive(tx, store, "shop_redact", {}, datetime.now(UTC))
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert (await tx.scalar(select(PrivacyRequest.state))) == "skipped"
        assert len((await customers.search(tx)).customers) == 1


@pytest.mark.parametrize(
    "handle",
    [{"customer_external_id": "gid://shopify/Customer/7"}, {"email": "Nura@Example.com"}, {"phone": "0501234567"}],
)
async def test_a_redacted_customer_leaves_one_store_only(
    app: App, workspace: UUID, everything: Callable[[Tx], Awaitable[str]], handle: dict[str, Any]
) -> None:
    async with app.db.transaction(workspace) as tx:
        alpha, beta = await connect(tx, "alpha"), await connect(tx, "beta")
        await sync.apply(tx, alpha, [CustomerRecord("8", T, "other@example.com", first_name="Other")])
        other = await identities.customer_of_platform(tx, alpha.id, "8")
        await talk(tx, alpha, other, "another shopper of the same store")
        await sync.apply(tx, beta, records("beta"))
        before = await state(tx)
        await sync.apply(tx, alpha, records("alpha"))
        nura = await identities.customer_of_platform(tx, alpha.id, "gid://shopify/Customer/7")
        await talk(tx, alpha, nura, "secret of alpha")
        await privacy.receive(tx, alpha, "customer_redact", {**handle, "orders": ["11"]},
                              datetime.now(UTC))  # fmt: skip
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        after = await state(tx)
        orders = after.pop("orders")
        assert before.pop("orders") == [one for one in orders if "beta" in one]
        assert after == before
        left = await everything(tx)
        assert "Nura alpha" not in left
        assert "secret of alpha" not in left
        assert "ring, alpha" not in left
        # The books stay, without the person.
        assert await tx.scalar(text("SELECT count(*) FROM orders WHERE customer_id IS NULL AND total = 1000")) == 1
        assert "Tea of alpha" in left
        # A late webhook from before the request does not bring the account back.
        await sync.apply(tx, alpha, records("alpha")[:1])
        assert await identities.customer_of_platform(tx, alpha.id, "gid://shopify/Customer/7") is None
        assert (await state(tx))["people"] == before["people"]


@pytest.mark.parametrize("ended", ["done_at", "parked_at"])
async def test_a_redacted_customer_is_not_quoted_by_the_inbox_either(app: App, workspace: UUID, ended: str) -> None:
    """The body of a return names nobody, but it has the shopper's own words."""
    mine, theirs = "gid://shopify/Order/6020000000301", "gid://shopify/Order/6020000000302"
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "alpha")
        await sync.apply(tx, store, [OrderRecord(mine, T, "#1", T, Money(1, "SAR", 2), email="guest@example.com")])
    said = {order: b'{"order":{"admin_graphql_api_id":"%s"},"customer_note":"too small"}' % order.encode()
            for order in (mine, theirs)}  # fmt: skip
    async with app.db.queue.begin() as connection:
        for order, body in said.items():
            await connection.execute(
                text("INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, "
                     f"workspace_id, store_id, {ended}) VALUES ('shopify', :key, 'store', 'alpha', 'returns/request', "
                     ":body, '{}', :workspace, :store, now())"),
                {"key": f"{workspace} {order}", "body": body, "workspace": workspace, "store": store.id},
            )  # fmt: skip
    async with app.db.transaction(workspace) as tx:
        await privacy.receive(tx, store, "customer_redact", {"email": "guest@example.com"}, datetime.now(UTC))
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        left = await tx.scalars(
            text("SELECT body FROM webhook_inbox WHERE workspace_id = :workspace ORDER BY key"),
            {"workspace": workspace},
        )
        assert list(left) == [b"", said[theirs]]
    assert await inbox.replay(app.db, workspace_id=workspace) == (1 if ended == "parked_at" else 0)


async def test_a_guest_is_redacted_by_address(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "alpha")
        order = OrderRecord("11", T, "#11", T, Money(1, "SAR", 2), email="guest@example.com", customer_name="Guest")
        await sync.apply(tx, store, [order])
        await privacy.receive(tx, store, "customer_redact", {"email": "guest@example.com"}, datetime.now(UTC))
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM customers")) == 0
        assert list(await tx.scalars(text("SELECT email || customer_name FROM orders"))) == [""]


async def test_a_split_family_when_its_link_is_erased(app: App, workspace: UUID) -> None:
    """B and C were one person only through what the erased store knew."""
    async with app.db.transaction(workspace) as tx:
        link, b, c = [await connect(tx, name) for name in ("link", "b", "c")]
        await sync.apply(tx, link, [CustomerRecord("1", T, "b@example.com", "+966501234567")])
        await sync.apply(tx, b, [CustomerRecord("1", T, "b@example.com")])
        await sync.apply(tx, c, [CustomerRecord("1", T, phone="+966501234567")])
        assert len((await customers.search(tx)).customers) == 1
        await privacy.receive(tx, link, "customer_redact", {"customer_external_id": "1"}, datetime.now(UTC))
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert len((await customers.search(tx)).customers) == 2


async def test_a_data_request_is_collected_and_handed_over(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        alpha, beta = await connect(tx, "alpha"), await connect(tx, "beta")
        await sync.apply(tx, alpha, records("alpha"))
        await sync.apply(tx, beta, records("beta"))
        nura = await identities.customer_of_platform(tx, alpha.id, "gid://shopify/Customer/7")
        await talk(tx, alpha, nura, "what I said to alpha")
        notice = {"customer_external_id": "7", "email": "nura@example.com", "request_id": "9"}
        assert await privacy.receive(tx, alpha, "data_request", notice, T)
        assert not await privacy.receive(tx, alpha, "data_request", notice, T + timedelta(hours=1))
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        (row,) = await privacy.open_requests(tx)
        assert row.state == "ready"
        export = row.result["export"]
        assert [one["text"] for one in export["messages"]] == ["what I said to alpha"]
        assert [one["name"] for one in export["orders"]] == ["#alpha-11"]
        assert isinstance(export["orders"][0]["raw"], dict), "to be read by people, not JSON in JSON"
        assert "beta" not in str(export)
        agent = Agent(id=new_id(), name="A", email="a@example.com", role=Role.OWNER)
        tx.add(agent)
        await privacy.handed_over(tx, row.id, agent)
        assert await privacy.open_requests(tx) == []
        assert "export" not in row.result


async def test_a_store_that_is_erased_leaves_no_copy_waiting_to_be_handed_over(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        alpha = await connect(tx, "alpha")
        await sync.apply(tx, alpha, records("alpha"))
        await privacy.receive(tx, alpha, "data_request", {"customer_external_id": "7", "request_id": "9"}, T)
    await run_jobs(app, workspace)
    await leave(app, workspace, alpha)
    async with app.db.transaction(workspace) as tx:
        await privacy.receive(tx, alpha, "shop_redact", {}, T)
    await run_jobs(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert await privacy.open_requests(tx) == [], "nothing is left that could be handed over"
        settled = {row.kind: row for row in await privacy.settled_requests(tx, 9)}
        assert (settled["data_request"].state, settled["shop_redact"].state) == ("skipped", "done")
        assert "export" not in settled["data_request"].result
        assert all(row.done_at is not None for row in settled.values())


async def test_reading_is_logged_and_old_things_are_forgotten(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "alpha")
        await sync.apply(tx, store, records("alpha"))
        (nura,) = (await customers.search(tx)).customers
        agent = Agent(id=new_id(), name="A", email="a@example.com", role=Role.AGENT)
        tx.add(agent)
        await tx.flush()
        await privacy.log_access(tx, agent, nura.id, "customer")
        await privacy.log_access(tx, agent, nura.id, "timeline")
        old = await talk(tx, store, nura.id, "long ago")
        open_talk = await talk(tx, store, nura.id, "still open")
        fresh, _ = await visitors.open_visitor(tx, store, None)
        idle, _ = await visitors.open_visitor(tx, store, None)
        years = datetime.now(UTC) - timedelta(days=800)
        idle.last_seen_at = years
        old.status, old.last_message_at, open_talk.last_message_at = "resolved", years, years
        await tx.flush()
        first_read = await tx.scalar(select(AccessLog.id).where(AccessLog.what == "customer"))
        await tx.execute(text("UPDATE access_log SET created_at = :at WHERE id = :id"), {"at": years, "id": first_read})
    await privacy.retention(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(select(AccessLog.what))) == ["timeline"]
        kept = set(await tx.scalars(text("SELECT id FROM visitors")))
        assert fresh.id in kept
        assert idle.id not in kept
        # Conversations and events are kept for ever unless the operator says otherwise.
        assert await tx.scalar(text("SELECT count(*) FROM conversations")) == 2


async def test_retention_periods_of_the_operator_really_delete(app: App, workspace: UUID) -> None:
    kept_for = replace(app.settings, conversation_retention_days=30, event_retention_days=30)
    strict = replace(app, settings=kept_for)
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "alpha")
        closed, still_open = await talk(tx, store, None, "closed long ago"), await talk(tx, store, None, "open")
        years = datetime.now(UTC) - timedelta(days=800)
        closed.status, closed.last_message_at, still_open.last_message_at = "resolved", years, years
        await tx.flush()
        await tx.execute(text("UPDATE events SET at = :at WHERE kind = 'conversation.started'"), {"at": years})
    await privacy.retention(strict, workspace)
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(select(Message.text))) == ["open"]
        assert await tx.scalar(text("SELECT count(*) FROM events WHERE kind = 'conversation.started'")) == 0
        assert await tx.scalar(text("SELECT count(*) FROM events WHERE kind = 'store.connected'")) == 1


async def test_a_request_near_its_deadline_is_an_error_to_see(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, "alpha")
        await privacy.request(
            tx, "customer_redact", store.id, {"customer_id": "1"}, datetime.now(UTC) - timedelta(days=29)
        )
    with pytest.raises(jobs.TaskError):
        await privacy.retention(app, workspace)
