"""Mailboxes that we read by IMAP: every letter once, durable before it is marked as read, by one worker at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from integrations.channels.email import imap
from integrations.channels.email.send import EmailChannel
from plugin import stores
from plugin.app import App
from plugin.conversations import letters, mailboxes, messages, readings
from plugin.conversations.conversations import Conversation
from plugin.conversations.mailboxes import Mailbox
from plugin.conversations.readings import MailReading
from plugin.kernel.db import new_id
from plugin.stores import Store
from tests.mailroom import PASSWORD, SERVERS, USER, MailServer, imap_server, written
from webhooks import handlers, inbox, reader
from webhooks.inbox import InboxRow


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MailServer]:
    async with imap_server(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        made = Store(
            id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}", name="Dukkan", url="https://dukkan.example",
        )  # fmt: skip
        tx.add(made)
    return made


@pytest.fixture
async def own(app: App, server: MailServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """An App whose way out believes the test server, and that is quick to look again."""
    channel = EmailChannel("", "", check_host=lambda host, port: ["127.0.0.1"], context=server.trust)
    monkeypatch.setattr(reader, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(reader, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(reader, "_SOON_SECONDS", 0.1)
    yield replace(app, channels={"email": channel})
    await channel.close()


def form(server: MailServer, **changes: str) -> mailboxes.Wanted:
    return mailboxes.checked(
        {
            "address": USER, "provider": "imap", "imap_host": "localhost", "imap_port": str(server.port),
            "imap_user": USER, "imap_password": PASSWORD, **changes,
        }
    )  # fmt: skip


async def set_up(app: App, workspace: UUID, store: Store, wanted: mailboxes.Wanted) -> Mailbox:
    async with app.db.transaction(workspace) as tx:
        return await mailboxes.save(tx, app.vault, store.id, wanted, actor="system")


async def _silent() -> None:
    """The tests take from the inbox themselves."""


@asynccontextmanager
async def worker(app: App) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(reader.run(app, _silent))
    try:
        yield running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(look: Callable[[], Awaitable[Any]], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.05)
    return found


async def box_of(app: App, workspace: UUID, store: Store) -> Mailbox:
    async with app.db.transaction(workspace) as tx:
        found = await mailboxes.of_store(tx, store.id)
        assert found is not None
        return found


async def is_open(app: App, workspace: UUID, store: Store) -> Any:
    return (await box_of(app, workspace, store)).read_at


async def arrived(app: App, token: str) -> int:
    async with app.db.queue.connect() as connection:
        statement = select(func.count()).where(InboxRow.source == "mail", InboxRow.store_key == token)
        return int((await connection.execute(statement)).scalar_one())


async def said(app: App, workspace: UUID) -> list[str]:
    await handlers.drain(app)
    async with app.db.transaction(workspace) as tx:
        return [
            message.text
            for talk in await tx.scalars(select(Conversation).order_by(Conversation.id))
            for message in await messages.thread(tx, talk.id)
        ]


def letter(text: str, **more: str) -> bytes:
    return written(text, sender="Layla <layla@example.com>", to=USER, **more)


async def test_a_letter_lands_in_a_thread_and_is_marked_as_read(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    await server.deliver(letter("from before anybody set this up"), at=time.time() - 60)
    box = await set_up(own, workspace, store, form(server))
    async with worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        began = time.monotonic()
        await server.deliver(letter("where is my order"))

        async def one() -> bool:
            return await arrived(own, box.token) == 1

        await until(one, "the letter")
        assert time.monotonic() - began < reader.IDLE_SECONDS - 5, "the server tells of it, nobody waits for a round"
        await until(lambda: server.count("SEEN"), "marking it")
    assert await said(own, workspace) == ["where is my order"]
    assert await server.count("UNSEEN") == 1, "what lay there before is left as it was"
    async with own.db.transaction(workspace) as tx:
        assert not await readings.is_read(tx, store.id), "a worker that stops gives its mailboxes back"


async def test_a_letter_that_comes_after_saving_and_before_the_first_opening_is_ours(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    await server.deliver(letter("from before anybody set this up"), at=time.time() - 60)
    await set_up(own, workspace, store, form(server, imap_password="wrong"))
    await server.deliver(letter("while the password was wrong"))
    await set_up(own, workspace, store, form(server))
    [held] = [held for held in await readings.claim(own.db, 1000) if held.store_id == store.id]
    async with own.db.transaction(workspace) as tx:
        assert not await readings.is_read(tx, store.id), "whoever only claimed it does not read it yet"
    await readings.release(own.db, held, after=0, failures=0)
    async with worker(own):
        await until(lambda: server.count("SEEN"), "reading it")
        async with own.db.transaction(workspace) as tx:
            assert await readings.is_read(tx, store.id)
    assert await said(own, workspace) == ["while the password was wrong"]
    assert await server.count("UNSEEN") == 1, "what lay there before is left as it was"


async def test_a_letter_that_cannot_be_kept_stays_unread_and_is_fetched_again(
    own: App, workspace: UUID, store: Store, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = await set_up(own, workspace, store, form(server))
    kept, refused = inbox.add, 0

    async def add(*arguments: Any, **named: Any) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            assert await server.count("UNSEEN") == 1, "it is not marked before it is durable"
            raise ConnectionError("the database went away")
        await kept(*arguments, **named)

    monkeypatch.setattr(inbox, "add", add)
    async with worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        await server.deliver(letter("do not lose me"))
        await until(lambda: server.count("SEEN"), "marking it")
    assert refused == 2
    assert await arrived(own, box.token) == 1
    assert await said(own, workspace) == ["do not lose me"]


async def test_a_server_that_starts_again_loses_and_doubles_nothing(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    await set_up(own, workspace, store, form(server))
    async with worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        await server.deliver(letter("one"))
        await until(lambda: server.count("SEEN"), "reading the first")
        await server.cut()
        await server.deliver(letter("two"))

        async def both() -> bool:
            return await server.count("SEEN") == 2

        await until(both, "reading the second")
    assert sorted(await said(own, workspace)) == ["one", "two"]
    assert (await box_of(own, workspace, store)).unread == ""


async def test_letters_numbered_anew_are_known_and_older_ones_stay_where_they_are(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    """UIDVALIDITY changed: every number means another letter now."""
    await server.deliver(letter("an old one, long before"), at=time.time() - 400_000)
    await set_up(own, workspace, store, form(server))
    async with worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        await server.deliver(letter("one", message_id="<one@example.com>"))
        await until(lambda: server.count("SEEN"), "reading the first")
        await server.renumber()
        await server.deliver(letter("two"))

        async def all_read() -> bool:
            return await server.count("SEEN") == 2

        await until(all_read, "reading both under their new numbers")
    assert sorted(await said(own, workspace)) == ["one", "two"]


async def test_two_workers_read_a_mailbox_one_after_the_other(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    box = await set_up(own, workspace, store, form(server))
    async with worker(own) as first, worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        for number in range(3):
            await server.deliver(letter(f"number {number}"))

        async def three() -> bool:
            return await arrived(own, box.token) == 3

        await until(three, "the letters")
        async with own.db.queue.connect() as connection:
            held = (
                await connection.execute(select(MailReading.lease).where(MailReading.store_id == store.id))
            ).scalar()
        assert held is not None
        first.cancel()
        await server.deliver(letter("after one of them stopped"))

        async def four() -> bool:
            return await arrived(own, box.token) == 4

        await until(four, "the last letter")
    assert len(await said(own, workspace)) == 4


async def test_what_a_killed_worker_held_is_read_when_its_lease_has_ended(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    await set_up(own, workspace, store, form(server))
    (dead,) = [held for held in await readings.claim(own.db, 1000) if held.store_id == store.id]
    assert not [held for held in await readings.claim(own.db, 1000) if held.store_id == store.id]
    async with own.db.queue.begin() as connection:
        await connection.execute(
            update(MailReading).where(MailReading.store_id == store.id).values(
                leased_until=func.now() - timedelta(seconds=1)
            )
        )  # fmt: skip
    async with worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        with pytest.raises(readings.LeaseLost):
            await readings.hold(own.db, dead)
        async with own.db.queue.begin() as connection:
            with pytest.raises(readings.LeaseLost):
                await readings.passed(connection, dead, 10_000)


async def test_new_settings_count_at_once_and_another_way_in_ends_the_reading(
    own: App, workspace: UUID, store: Store, server: MailServer
) -> None:
    box = await set_up(own, workspace, store, form(server, imap_password="wrong"))
    async with worker(own):

        async def refused() -> bool:
            return (await box_of(own, workspace, store)).unread == "login"

        await until(refused, "refusing the password")
        await set_up(own, workspace, store, form(server))
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        assert (await box_of(own, workspace, store)).unread == ""
        await set_up(own, workspace, store, form(server, provider="mime", key="a-key-of-sixteen-letters"))
        async with own.db.transaction(workspace) as tx:
            assert not await readings.is_read(tx, store.id)
        await asyncio.sleep(1)
        await server.deliver(letter("nobody fetches this"))
        await asyncio.sleep(1)
        assert await arrived(own, box.token) == 0


async def test_of_a_letter_that_is_too_large_the_words_are_kept_and_the_files_are_named(
    own: App, workspace: UUID, store: Store, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "LARGEST", 50_000)
    monkeypatch.setattr(imap, "BEGINNING", 20_000)
    await set_up(own, workspace, store, form(server))
    raw = letter("it is in the film").decode()
    raw = raw.replace("MIME-Version: 1.0\n", "").replace(
        'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: 7bit\n',
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n',
    )
    head, body = raw.split("\n\n", 1)
    whole = (
        f'{head}\n\n--b\nContent-Type: text/plain\n\n{body}\n--b\nContent-Type: video/mp4; name="film.mp4"\n'
        f'Content-Disposition: attachment; filename="film.mp4"\n\n{"A" * 70 + chr(10)}'
        + ("A" * 70 + "\n") * 1000
        + "--b--\n"
    )
    async with worker(own):
        await until(lambda: is_open(own, workspace, store), "opening the mailbox")
        await server.deliver(whole.encode())
        await until(lambda: server.count("SEEN"), "reading it")
    assert await said(own, workspace) == ["it is in the film"]
    async with own.db.transaction(workspace) as tx:
        found = (await tx.scalars(select(letters.Letter))).one()
    assert found.left_out == ["film.mp4"]


async def test_a_store_that_is_gone_is_not_read(own: App, workspace: UUID, store: Store, server: MailServer) -> None:
    await set_up(own, workspace, store, form(server))
    async with own.db.transaction(workspace) as tx:
        gone = await tx.get(Store, store.id)
        assert gone is not None
        gone.status = stores.UNINSTALLED
    async with worker(own):

        async def put_off() -> bool:
            async with own.db.queue.connect() as connection:
                statement = select(MailReading.next_at > func.now()).where(MailReading.store_id == store.id)
                return bool((await connection.execute(statement)).scalar())

        await until(put_off, "putting it off")
    assert (await box_of(own, workspace, store)).read_at is None
