"""What erasure must not undo, overtake or overlook; and what a copy must not leave out."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from plugin import privacy, stores, team
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import merging, messages
from plugin.conversations.conversations import Shopper
from plugin.crm import customers, identities, sync, visitors
from plugin.crm.backfill import Backfill
from plugin.kernel import jobs
from plugin.kernel.db import Tx, new_id
from plugin.kernel.money import Money
from plugin.platform import (
    Address,
    CustomerRecord,
    FulfilmentRecord,
    OrderPart,
    OrderRecord,
    RefundRecord,
    StoreProfile,
)
from plugin.privacy import PrivacyRequest, export
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Role

T = datetime(2026, 7, 1, tzinfo=UTC)
NURA = "gid://shopify/Customer/700007"


async def connect(tx: Tx) -> Store:
    profile = StoreProfile("alpha", "https://alpha.example", (), "SAR", None, "UTC", "ar", country="SA")
    return await stores.connect(tx, platform="shopify", external_id=f"alpha-{tx.workspace_id}", profile=profile)


def order(at: datetime, **more: Any) -> OrderRecord:
    return OrderRecord("gid://shopify/Order/70000711", at, "#11", T, Money(1000, "SAR", 2), customer_external_id=NURA,
                       email="nura@example.com", customer_name="Nura", note="ring twice", tags=("nura",),
                       shipping_address=Address(name="Nura", city="Jeddah"), raw={"who": "Nura"}, **more)  # fmt: skip


async def ask(app: App, store: Store, kind: str, **more: Any) -> UUID:
    """Take a notice about Nura and run its job once. Returns the request's id."""
    async with app.db.transaction(store.workspace_id) as tx:
        notice = {"customer_external_id": NURA, "email": "nura@example.com", "request_id": uuid4().hex, **more}
        assert await privacy.receive(tx, store, kind, notice, datetime.now(UTC))
        row = await tx.scalar(select(PrivacyRequest).order_by(PrivacyRequest.id.desc()).limit(1))
    await run(app, store.workspace_id)
    return UUID(str(row.id))


async def run(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        waiting = list(await tx.scalars(text(
            "SELECT id FROM jobs WHERE workspace_id = :w AND task IN ('data_request', 'redact_customer') "
            "AND done_at IS NULL"), {"w": workspace}))  # fmt: skip
    for id in waiting:
        await jobs.run(app.db, app, TASKS, workspace, id)


async def state_of(app: App, workspace: UUID, id: UUID) -> PrivacyRequest:
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(PrivacyRequest, id)
    assert row is not None
    return row


async def test_later_news_of_an_order_do_not_say_again_whose_it_was(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        await sync.apply(tx, store, [CustomerRecord(NURA, T, "nura@example.com", first_name="Nura"), order(T)])
    await ask(app, store, "customer_redact")
    later = datetime.now(UTC) + timedelta(minutes=1)
    parcel = FulfilmentRecord("f", "delivered", "TRACK700", "https://carrier.example/TRACK700", "Aramex")
    async with app.db.transaction(workspace) as tx:
        refund = RefundRecord("r", Money(400, "SAR", 2), "Nura did not like it")
        await sync.apply(tx, store, [order(later, fulfilments=(parcel,), status="closed")])
        await sync.apply(tx, store, [OrderPart("gid://shopify/Order/70000711", later, refund=refund)])
        held = [
            str(row)
            for table in ("orders", "fulfilments", "refunds", "store_customers", "events", "customers")
            for row in await tx.scalars(text(f"SELECT CAST(to_jsonb(x) AS text) FROM {table} x"))
        ]
        assert not [row for row in held if "nura" in row.lower() or "TRACK700" in row or "Jeddah" in row]
        found = await tx.execute(
            text(
                "SELECT o.status, o.total, r.amount, f.status AS parcel FROM orders o "
                "JOIN refunds r ON r.order_id = o.id JOIN fulfilments f ON f.order_id = o.id"
            )
        )
        books = found.one()
    assert tuple(books) == ("closed", 1000, 400, "delivered"), "the merchant's books go on"


async def test_somebody_whom_we_meet_only_after_their_erasure_stays_unknown(app: App, workspace: UUID) -> None:
    """A history that is still being read brings what the platform said before."""
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
    await ask(app, store, "customer_redact")
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord(NURA, T, "nura@example.com", first_name="Nura")])
        assert await identities.customer_of_platform(tx, store.id, NURA) is None
        assert (await customers.search(tx)).customers == []


async def test_a_delivery_that_is_being_worked_on_is_waited_for_and_then_not_read(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        await sync.apply(tx, store, [CustomerRecord(NURA, T, "nura@example.com", first_name="Nura")])
    async with app.db.queue.begin() as connection:
        await connection.execute(
            text("INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, workspace_id, "
                 "store_id) VALUES ('shopify', :key, 'store', 'nobody', 'customers/update', :body, '{}', :w, :s)"),
            {"key": uuid4().hex, "body": b'{"email":"Nura@Example.com"}', "w": workspace, "s": store.id},
        )  # fmt: skip
    id = await ask(app, store, "customer_redact")
    assert (await state_of(app, workspace, id)).state == privacy.OPEN
    async with app.db.transaction(workspace) as tx:
        await tx.execute(text("UPDATE privacy_requests SET created_at = now() - interval '6 minutes'"))
        await tx.execute(text("UPDATE jobs SET run_at = now() WHERE done_at IS NULL"))
    await run(app, workspace)
    assert (await state_of(app, workspace, id)).state == privacy.DONE
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(text("SELECT body FROM webhook_inbox WHERE workspace_id = :w"),
                                     {"w": workspace})) == [b""]  # fmt: skip


async def test_a_chat_in_which_somebody_unknown_left_the_address_goes_too(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        theirs, _ = await visitors.open_visitor(tx, store, None)
        await visitors.typed_email(tx, theirs, "Nura@example.com", "Nura")
        another, _ = await visitors.open_visitor(tx, store, None)
        await visitors.typed_email(tx, another, "other@example.com", "Other")
    await ask(app, store, "customer_redact")
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(text("SELECT typed_email FROM visitors"))) == ["other@example.com"]


async def test_a_copy_that_waits_does_not_outlive_an_erasure(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        other = "gid://shopify/Customer/800008"
        await sync.apply(tx, store, [CustomerRecord(NURA, T, "nura@example.com", first_name="Nura"),
                                     CustomerRecord(other, T, "other@example.com", first_name="Other")])  # fmt: skip
    mine = await ask(app, store, "data_request")
    kept = await ask(app, store, "data_request", customer_external_id=other, email="other@example.com")
    assert (await state_of(app, workspace, mine)).result["export"]["profiles"]
    await ask(app, store, "customer_redact", email="")
    gone = await state_of(app, workspace, mine)
    assert (gone.state, "export" in gone.result, gone.subject.get("email")) == (privacy.SKIPPED, False, None)
    assert (await state_of(app, workspace, kept)).result["export"]["profiles"][0]["first_name"] == "Other"


async def test_half_a_history_is_not_handed_out_as_a_whole_one(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        tx.add(Backfill(id=new_id(), store_id=store.id, resource="orders", state="running"))
    id = await ask(app, store, "data_request")
    assert (await state_of(app, workspace, id)).state == privacy.OPEN
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord(NURA, T, "nura@example.com", first_name="Nura")])
        await tx.execute(text("UPDATE backfills SET state = 'done'"))
        assert await tx.scalar(text("SELECT count(*) FROM jobs WHERE task = 'data_request' AND done_at IS NULL")) == 1
        await tx.execute(text("UPDATE jobs SET run_at = now() WHERE task = 'data_request' AND done_at IS NULL"))
    await run(app, workspace)
    row = await state_of(app, workspace, id)
    assert (row.state, row.result["export"]["profiles"][0]["first_name"]) == (privacy.READY, "Nura")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c.txt", "..", "صورة.png", "x" * 9 + "\x00.pdf"])
def test_no_name_of_a_file_leads_out_of_the_copy(name: str) -> None:
    path = export.filename({"id": uuid4(), "name": name})
    folder, _slash, file = path.partition("/")
    assert folder == "files"
    assert not set(file) & set("/\\\x00")
    assert file.strip(". ") == file


async def test_a_copy_is_written_piece_by_piece(app: App, workspace: UUID) -> None:
    """Each file is read on its own, so a copy of a thousand pictures takes no more room than one."""
    files = []
    async with app.db.transaction(workspace) as tx:
        for size in (10, 200_000):
            files.append({"id": str(new_id()), "name": "p.png"})
            await tx.execute(
                text("INSERT INTO attachments (workspace_id, id, uploader, name, media_type, size, content) "
                     "VALUES (:w, :id, 'agent:x', 'p.png', 'image/png', :size, :content)"),
                {"w": workspace, "id": UUID(files[-1]["id"]), "size": size, "content": bytes(size)},
            )  # fmt: skip
    files.append({"id": str(new_id()), "name": "gone.png"})
    pieces = [piece async for piece in export.archive(app, workspace, {"files": files}, "<p>", "data.html")]
    assert len(pieces) == 4
    packed = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert packed.testzip() is None
    assert sorted(info.file_size for info in packed.infolist() if info.filename.startswith("files/")) == [10, 200_000]
    assert json.loads(packed.read("data.json"))["files"] == files


@pytest.mark.parametrize("typed", ["store_id", "ahlan", "watch_store"])
async def test_a_word_that_was_given_as_an_address_takes_nobody_elses_work_along(
    app: App, workspace: UUID, typed: str
) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        await sync.apply(tx, store, [CustomerRecord(NURA, T, "nura@example.com", first_name="Nura"), order(T)])
        await tx.execute(text("UPDATE orders SET email = :typed"), {"typed": typed})
        other = new_id()
        await tx.enqueue("watch_store", unique=f"ahlan:watch_store:{other}", store_id=other)
    await ask(app, store, "customer_redact", email=typed)
    async with app.db.transaction(workspace) as tx:
        kept = "SELECT count(*) FROM jobs WHERE workspace_id = :w AND arguments ->> 'store_id' = :other"
        assert await tx.scalar(text(kept), {"w": workspace, "other": str(other)}) == 1


async def test_what_was_merged_and_taken_apart_again_leaves_nothing_with_the_other(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx)
        agent = await team.add(tx, name="Maya", email=None, role=Role.ADMIN)
        talks = []
        for email, said in (("other@example.com", "hello"), ("nura@example.com", "I live in Jeddah")):
            browser, _ = await visitors.open_visitor(tx, store, None)
            await visitors.typed_email(tx, browser, email, "")
            shopper = Shopper(browser.id, store.id)
            await messages.receive(tx, shopper, uuid4(), said)
            await threads.ask_email(tx, shopper, email)
            head = await threads.current(tx, shopper)
            assert head is not None
            talks.append(head.id)
        (join,) = await merging.merge(tx, talks[0], talks[1:], by=agent, sure=True)
        await merging.undo(tx, join.id, by=agent)
    await ask(app, store, "customer_redact")
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(text("SELECT id FROM conversations"))) == talks[:1]
        kept = await tx.scalars(text("SELECT CAST(j AS text) FROM conversation_joins j"))
        assert not [row for row in kept if "Jeddah" in row or "nura" in row]
