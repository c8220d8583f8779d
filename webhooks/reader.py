"""Mailboxes that we read ourselves: each by one worker, every letter in the inbox before it is marked as read.

From there it goes the way of posted mail (`webhooks/mail.py`). How far a mailbox was read is written in the transaction
that makes the letter durable, so a killed worker loses nothing; what it had in hand another one opens after its lease.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter, Gauge

from plugin import stores
from plugin.app import App
from plugin.channel import Account, OpenMailbox, ReadingFailed, Trouble
from plugin.conversations import mailboxes, readings
from plugin.conversations.conversations import EMAIL
from plugin.conversations.readings import Held, LeaseLost
from webhooks import inbox, mail

log = structlog.get_logger(__name__)

FETCHED = Counter("ahlan_mail_fetched_total", "Letters taken from mailboxes that we read")
OPEN = Gauge("ahlan_mailboxes_open", "Mailboxes that this process reads now")

MOST = 500
"""Mailboxes that one process reads; each is a connection that mostly waits."""

LOOK_SECONDS = 3.0
HEARTBEAT_SECONDS = 15.0
IDLE_SECONDS = 90.0
"""Then we look ourselves: servers and what lies between end what is silent for longer than some minutes (RFC 2177)."""

_BATCH = 50
_SOON_SECONDS = 2.0
_MOST_SECONDS = 1800.0
_LOGIN_SECONDS = 300.0
"""A refused password is tried again this late at the earliest: servers lock out who knocks too often."""

_AWAY_SECONDS = 300.0

Ring = Callable[[], Awaitable[None]]


async def run(app: App, ring: Ring) -> None:
    """Read what is due, for as long as nobody cancels; `ring` wakes whoever empties the inbox."""
    under_way: set[asyncio.Task[None]] = set()
    try:
        while True:
            try:
                for held in await readings.claim(app.db, MOST - len(under_way)):
                    task = asyncio.create_task(_attend(app, held, ring))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                OPEN.set(len(under_way))
            except Exception as error:
                # Whatever it was: mailboxes are looked for again, while the worker lives.
                log.warning("mailboxes_not_claimed", error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _attend(app: App, held: Held, ring: Ring) -> None:
    """Read a mailbox while it is ours; then say when it may be opened again."""
    reading = asyncio.create_task(_read(app, held, ring))
    after, failures = 0.0, held.failures
    try:
        while not (await asyncio.wait({reading}, timeout=HEARTBEAT_SECONDS))[0]:
            await readings.hold(app.db, held)
        after = reading.result()
    except LeaseLost:
        return
    except ReadingFailed as error:
        failures = held.failures + 1
        after = _pause(failures, error.trouble)
        # A connection that ends once is nothing to tell anybody.
        if failures > 1 or error.trouble is not Trouble.BROKEN:
            await _told(app, held, error.trouble, error.said)
    except Exception as error:
        # Whatever one mailbox brings about, the others are read on and this one is tried again later.
        failures = held.failures + 1
        after = _pause(failures, Trouble.BROKEN)
        log.warning("mailbox_not_read", store=str(held.store_id), error=repr(error))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await readings.release(app.db, held, after=after, failures=failures)


def _pause(failures: int, trouble: Trouble) -> float:
    least = _LOGIN_SECONDS if trouble is Trouble.LOGIN else _SOON_SECONDS
    longer = min(_MOST_SECONDS, _SOON_SECONDS * 2.0 ** min(failures, 12))
    return max(least, longer) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


async def _read(app: App, held: Held, ring: Ring) -> float:
    """Until the connection ends. Returns after how many seconds to look again where there is nothing to read."""
    known = await _known(app, held)
    if known is None:
        return _AWAY_SECONDS
    account, folder, token = known
    async with app.channels[EMAIL].open_mailbox(account, folder) as opened:
        first = opened.next_uid if held.validity else await opened.first_since(held.begun_at)
        await readings.opened(app.db, held, opened.validity, first)
        await _told(app, held, None)
        while True:
            await _catch_up(app, held, opened, token, ring)
            await opened.wait(IDLE_SECONDS)


async def _known(app: App, held: Held) -> tuple[Account, str, str] | None:
    async with app.db.transaction(held.workspace_id) as tx:
        store = await stores.get(tx, held.store_id)
        box = await mailboxes.of_store(tx, held.store_id)
        if store is None or box is None or store.status == stores.UNINSTALLED or store.moving_since is not None:
            return None
        account = await mailboxes.read_account(tx, app.vault, box)
        return (account, box.imap_folder, box.token) if account is not None else None


async def _catch_up(app: App, held: Held, opened: OpenMailbox, token: str, ring: Ring) -> None:
    while letters := await opened.after(held.last_uid, _BATCH):
        for letter in letters:
            if not held.is_ours(letter.at):
                continue
            fetched = await opened.fetch(letter)
            if fetched is None:
                continue
            topic, body = fetched
            async with app.db.queue.begin() as connection:
                await inbox.add(
                    connection, source=mail.SOURCE, key=f"{token}:{held.validity}:{letter.uid}",
                    store_kind=mailboxes.DIRECTORY, store_key=token, topic=topic, body=body,
                )  # fmt: skip
                await readings.passed(connection, held, letter.uid)
            FETCHED.inc()
            await ring()
            await _mark(opened, letter.uid)
        if letters[-1].uid > held.last_uid:
            async with app.db.queue.begin() as connection:
                await readings.passed(connection, held, letters[-1].uid)


async def _mark(opened: OpenMailbox, uid: int) -> None:
    """Only now, for it is durable. A folder that may only be looked at is read all the same."""
    try:
        await opened.mark_read(uid)
    except ReadingFailed as error:
        log.info("letter_not_marked", error=str(error))


async def _told(app: App, held: Held, trouble: Trouble | None, said: str = "") -> None:
    """The mailbox's page says how it stands."""
    async with app.db.transaction(held.workspace_id) as tx:
        box = await mailboxes.of_store(tx, held.store_id)
        if box is None:
            return
        box.unread, box.unread_said = (trouble.value, said) if trouble is not None else ("", "")
        if trouble is None:
            box.read_at = datetime.now(UTC)
