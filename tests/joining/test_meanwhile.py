"""While a store moves: what platforms send, what shoppers and agents write, what jobs do, and who is killed."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from plugin import joining, stores, team
from plugin.app import App
from plugin.conversations import messages
from plugin.conversations.conversations import Shopper
from plugin.crm import batch, sync, visitors
from plugin.crm.orders import Order
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.errors import Unauthorized
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, LineRecord, OrderRecord, StoreNotice
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Role
from plugin.widget import session
from plugin.widget.limits import Limits
from tests.joining.conftest import NOW, Make, Merchant, agreed, everything, joined, run_move
from webhooks import handlers, inbox


class Reading:
    """A platform that reads every delivery as one order, and `uninstalled` as that."""

    def read_webhook(self, topic: str, body: bytes, at: object, connection: object) -> list[object]:
        if topic == "uninstalled":
            return [StoreNotice("uninstalled", datetime.now(UTC), {})]
        return [OrderRecord(body.decode(), NOW, f"#{body.decode()}", NOW, Money(100, "SAR", 2))]

    async def disconnected(self, tx: object, store_id: UUID) -> None:
        return None


@pytest.fixture
def reading(app: App) -> App:
    """The app with a platform that can read what the tests deliver."""
    return replace(app, platforms={"shopify": Reading()})


async def deliver(app: App, store: Store, *bodies: str, topic: str = "orders") -> None:
    """Deliveries as the receiver writes them."""
    async with app.db.queue.begin() as connection:
        for body in bodies:
            await connection.execute(inbox.InboxRow.__table__.insert().values(
                source="test", key=uuid4().hex, store_kind="store", store_key=f"shopify:{store.external_id}",
                topic=topic, body=body.encode(), headers={}))  # fmt: skip


async def orders_of(app: App, workspace_id: UUID, store: Store) -> list[str]:
    async with app.db.transaction(workspace_id) as tx:
        return sorted(await tx.scalars(select(Order.external_id).where(Order.store_id == store.id)))


async def unread(app: App, store: Store) -> int:
    async with app.db.queue.connect() as connection:
        return (
            await connection.execute(
                text("SELECT count(*) FROM webhook_inbox WHERE store_key = :key AND done_at IS NULL"),
                {"key": f"shopify:{store.external_id}"},
            )
        ).scalar_one()


async def test_deliveries_of_a_moving_store_wait_and_are_read_where_it_is_then(
    reading: App, app: App, merchant: Make
) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)
    await deliver(app, guest.store, "20", "21")
    await handlers.drain(reading)
    assert await orders_of(app, guest.workspace_id, guest.store) == ["10", "11"]
    assert await unread(app, guest.store) == 2
    assert await run_move(app, host.workspace_id, move_id) == joining.DONE
    await asyncio.sleep(2.1)
    await handlers.drain(reading)
    assert await orders_of(app, host.workspace_id, guest.store) == ["10", "11", "20", "21"]
    assert await unread(app, guest.store) == 0


async def test_deliveries_claimed_before_the_move_are_neither_lost_nor_doubled(
    reading: App, app: App, merchant: Make
) -> None:
    """A worker holds rows under the old workspace, the store moves, and only then does it go on."""
    guest, host = await merchant("oud"), await merchant("kad")
    await deliver(app, guest.store, "20", "21", "22")
    held = [row for row in await inbox.claim(app.db) if row.store_id == guest.store.id]
    assert {row.workspace_id for row in held} == {guest.workspace_id}
    await joined(app, guest, host)
    assert await handlers._work(reading, guest.workspace_id, guest.store.id, held) == 0
    assert await unread(app, guest.store) == 3, "not stamped by the one who came too late"
    await handlers.drain(reading)
    assert await orders_of(app, host.workspace_id, guest.store) == ["10", "11", "20", "21", "22"]
    assert await unread(app, guest.store) == 0


async def test_what_a_store_answers_while_it_moves_waits_for_the_end_of_it(app: App, merchant: Make) -> None:
    """The move has the turn to write and takes the store next: who has the store and waits for the turn stops both."""
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)

    async def answered() -> None:
        async with app.db.transaction(guest.workspace_id) as tx:
            await sync.apply_answer(tx, guest.store.id, [OrderRecord("20", NOW, "#20", NOW, Money(100, "SAR", 2))])

    async with app.db.transaction(guest.workspace_id) as tx:
        await batch.lock(tx)
        answer = asyncio.create_task(answered())
        await asyncio.wait({answer}, timeout=0.3)
        assert await tx.get(Store, guest.store.id, lock=True) is not None
    await answer
    assert await orders_of(app, guest.workspace_id, guest.store) == ["10", "11", "20"]
    assert await run_move(app, host.workspace_id, move_id) == joining.DONE
    async with app.db.transaction(guest.workspace_id) as tx:
        await sync.apply_answer(tx, guest.store.id, [OrderRecord("21", NOW, "#21", NOW, Money(100, "SAR", 2))])
    assert await orders_of(app, host.workspace_id, guest.store) == ["10", "11", "20"], "it has left"
    assert await orders_of(app, guest.workspace_id, guest.store) == []


async def test_a_batch_and_the_move_go_one_after_the_other(reading: App, app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    numbers = [str(number) for number in range(100, 140)]
    await deliver(app, guest.store, *numbers)
    move_id = await agreed(app, guest, host)
    await asyncio.gather(handlers.drain(reading), run_move(app, host.workspace_id, move_id), handlers.drain(reading))
    for _round in range(4):
        await asyncio.sleep(1)
        await handlers.drain(reading)
    assert await orders_of(app, host.workspace_id, guest.store) == sorted(["10", "11", *numbers])
    async with app.db.transaction(host.workspace_id) as tx:
        placed = await tx.scalar(
            text("SELECT count(*) FROM events WHERE kind = 'order.placed' AND store_id = :s"), {"s": guest.store.id}
        )
    assert placed == len(numbers) + 2


async def test_an_uninstall_that_was_claimed_before_the_move_counts_after_it(
    reading: App, app: App, merchant: Make
) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await deliver(app, guest.store, "", topic="uninstalled")
    held = [row for row in await inbox.claim(app.db) if row.store_id == guest.store.id]
    await joined(app, guest, host)
    await handlers._work(reading, guest.workspace_id, guest.store.id, held)
    await handlers.drain(reading)
    async with app.db.transaction(host.workspace_id) as tx:
        store = await stores.get(tx, guest.store.id)
    assert store is not None
    assert store.status == stores.UNINSTALLED


async def _opening(app: App, guest: Merchant) -> tuple[session.Pass, dict[str, object]]:
    opening = session.Opening(guest.store.public_key, guest.visitor)
    return await session.open_session(app, Limits(app.hub), opening, f"10.0.0.{uuid4().int % 250}", {})


async def test_a_shopper_waits_politely_and_goes_on_where_they_were(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    held, opened = await _opening(app, guest)
    move_id = await agreed(app, guest, host)
    with pytest.raises(stores.Moving) as polite:
        await _opening(app, guest)
    assert (polite.value.status, polite.value.retry_after) == (503, 5)
    assert await run_move(app, host.workspace_id, move_id) == joining.DONE
    async with app.db.transaction(held.workspace_id) as tx:
        with pytest.raises(Unauthorized):
            await session.visitor_of(tx, held)
    again, reopened = await _opening(app, guest)
    assert again.workspace_id == host.workspace_id
    assert reopened["secret"] == opened["secret"]
    assert reopened["visitor"]["id"] == opened["visitor"]["id"]
    assert reopened["conversation"]["last_seq"] == 2


async def test_a_message_that_is_being_written_arrives_before_or_not_at_all(app: App, merchant: Make) -> None:
    """Its transaction is open when the move begins: the move waits for it and takes it along."""
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)
    async with app.db.transaction(guest.workspace_id) as tx:
        visitor = await _visitor(tx, guest)
        written = await messages.receive(tx, Shopper(visitor, guest.store.id), new_id(), "just now")
        moving = asyncio.create_task(run_move(app, host.workspace_id, move_id))
        await asyncio.sleep(0.5)
        assert not moving.done()
    assert await moving == joining.DONE
    async with app.db.transaction(host.workspace_id) as tx:
        kept = await tx.scalar(text("SELECT text FROM messages WHERE id = :id"), {"id": UUID(written["id"])})
    assert kept == "just now"


async def _visitor(tx: object, guest: Merchant) -> UUID:
    found = await visitors.by_secret(tx, guest.store.id, guest.visitor)
    assert found is not None
    return found.id


async def test_a_job_of_the_store_goes_along_and_its_old_run_ends_nothing(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    async with app.db.transaction(guest.workspace_id) as tx:
        await tx.enqueue("send_replies", delay=3600, unique="mine", conversation_id=guest.talk)
        await tx.enqueue("send_replies", delay=3600, unique="nobodys", conversation_id=uuid4())
        # So that it is not closed behind the store.
        await team.add(tx, name="Other", email=None, role=Role.OWNER, password_hash="x")
    await joined(app, guest, host)
    for workspace_id, expected in ((host.workspace_id, ["mine"]), (guest.workspace_id, ["nobodys"])):
        async with app.db.transaction(workspace_id) as tx:
            found = await tx.scalars(text("SELECT unique_key FROM jobs WHERE task = 'send_replies'"))
            assert list(found) == expected


async def test_progress_is_shown_while_it_moves(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)
    await run_move(app, host.workspace_id, move_id)
    async with app.db.transaction(host.workspace_id) as tx:
        row = await joining.standing(tx, move_id)
    assert row is not None
    assert row.total_rows > 20
    assert row.done_rows == row.total_rows


_KILLED = """
import asyncio, os, sys
from uuid import UUID
from plugin import bootstrap, joining
from plugin.kernel import jobs, config
from plugin.kernel.config import Settings, ShopifyApp
from plugin.kernel import db
from plugin.reactions import TASKS

async def main(database_url, redis_url, key, workspace, job, data_dir):
    from pathlib import Path
    settings = Settings(data_dir=Path(data_dir), encryption_keys=(key,), shopify=ShopifyApp("a", "b"))
    async with bootstrap.start(settings, database_url=database_url, redis_url=redis_url) as app:
        async def _slow(self, tx, sealed):
            # Everything is moved and nothing is committed.
            print("moved", flush=True)
            await asyncio.sleep(600)
        joining.move._Move._seal = _slow
        await jobs.run(app.db, app, TASKS, UUID(workspace), UUID(job))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_in_the_middle_it_has_done_nothing_and_runs_again(
    app: App, merchant: Make, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)
    before = await everything(app, guest.workspace_id, but=("store_moves",))
    async with app.db.transaction(host.workspace_id) as tx:
        job = await tx.scalar(text("SELECT id FROM jobs WHERE unique_key = :key"), {"key": f"move:{move_id}"})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, database_url, redis_url, app.settings.encryption_keys[0],
        str(host.workspace_id), str(job), str(tmp_path), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 60)).strip() == b"moved"
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    deadline = time.monotonic() + 20
    while (there := await everything(app, guest.workspace_id, but=("store_moves",))) != before:
        assert time.monotonic() < deadline, there
        await asyncio.sleep(0.1)
    async with app.db.transaction(host.workspace_id) as tx:
        assert [one.id for one in await stores.all_stores(tx)] == [host.store.id]
    # Its lease ends by itself after a while; here nobody waits for that.
    async with app.db.queue.begin() as connection:
        await connection.execute(text("UPDATE jobs SET leased_until = NULL WHERE id = :id"), {"id": job})
    assert await jobs.run(app.db, app, TASKS, host.workspace_id, job)
    async with app.db.transaction(host.workspace_id) as tx:
        row = await joining.standing(tx, move_id)
        assert row is not None
        assert row.state == joining.DONE
        assert len(await stores.all_stores(tx)) == 2


@pytest.mark.parametrize("orders", [int(os.environ.get("AHLAN_MOVE_ORDERS", "2000"))])
async def test_a_large_store_moves_in_one_go(app: App, merchant: Make, orders: int) -> None:
    guest, host = await merchant("oud", talk=False), await merchant("kad", talk=False)
    for start in range(0, orders, 250):
        batch: list[object] = []
        for number in range(start, min(start + 250, orders)):
            line = LineRecord("1", "lamp", 1, Money(100, "SAR", 2))
            batch += [
                CustomerRecord(f"c{number}", NOW, f"c{number}@mail.example", first_name=f"C {number}"),
                OrderRecord(f"o{number}", NOW, f"#{number}", NOW, Money(100, "SAR", 2), lines=(line,),
                            customer_external_id=f"c{number}"),
            ]  # fmt: skip
        async with app.db.transaction(guest.workspace_id) as tx:
            await sync.apply(tx, guest.store, batch)
    move_id = await agreed(app, guest, host)
    started = time.monotonic()
    assert await run_move(app, host.workspace_id, move_id) == joining.DONE
    spent = time.monotonic() - started
    async with app.db.transaction(host.workspace_id) as tx:
        row = await joining.standing(tx, move_id)
    assert row is not None
    assert len(await orders_of(app, host.workspace_id, guest.store)) == orders + 2
    assert spent < 60 + row.total_rows / 500
