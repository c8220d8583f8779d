"""How far each mailbox was read, and which worker reads it now: one at a time, by a lease that ends with its holder.

The table stands with the queues, outside the tenants: a worker asks for what is due without knowing whose it is. It
holds numbers only; servers and passwords are read afterwards, inside the workspace (`plugin/conversations/mailboxes`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Index, Update, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, Database, Tx
from plugin.kernel.personal import nobody

LEASE = timedelta(seconds=45)

_SKEW = timedelta(hours=1)
"""A mail server's clock is not ours."""


class MailReading(Base):
    """A mailbox that we read. Letters up to `last_uid` are taken, as long as its numbers mean the same (`validity`).

    Letters from before `begun_at` stay where they are, also when the server numbers everything anew. `next_at` is when
    it may be opened again, `failures` how often in a row that failed.
    """

    __tablename__ = "mail_readings"
    __table_args__ = (
        Index(None, "next_at"),
        {
            "info": {
                "access": "queue",
                "grants": "SELECT, INSERT, UPDATE, DELETE",
                **nobody("how far a shop's mailbox was read"),
            }
        },
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[UUID] = mapped_column(primary_key=True)
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    validity: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_uid: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    begun_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LeaseLost(Exception):
    """Somebody else reads this mailbox now, or nobody should."""


@dataclass(slots=True)
class Held:
    """A mailbox that this process reads until its lease ends."""

    workspace_id: UUID
    store_id: UUID
    lease: UUID
    failures: int
    validity: int
    last_uid: int
    begun_at: datetime

    def is_ours(self, at: datetime) -> bool:
        """Whether a letter that the server took in then came after the shop had us read its mailbox."""
        return at >= self.begun_at - _SKEW


async def read_on(tx: Tx, store_id: UUID, *, anew: bool) -> None:
    """Read this mailbox from now on, at once and by its present settings; `anew`: it is another one than before."""
    now = {"next_at": func.now(), "lease": None, "leased_until": None, "failures": 0}
    fresh = {"validity": 0, "last_uid": 0, "begun_at": func.now()} if anew else {}
    await tx.execute(
        insert(MailReading)
        .values(workspace_id=tx.workspace_id, store_id=store_id)
        .on_conflict_do_update(index_elements=["workspace_id", "store_id"], set_={**now, **fresh})
    )


async def read_no_more(tx: Tx, store_id: UUID) -> None:
    """Leave this mailbox alone."""
    await tx.execute(
        delete(MailReading).where(MailReading.workspace_id == tx.workspace_id, MailReading.store_id == store_id)
    )


async def is_read(tx: Tx, store_id: UUID) -> bool:
    """Whether a worker holds this mailbox now and has opened it."""
    found = await tx.scalar(
        select(MailReading.store_id).where(
            MailReading.workspace_id == tx.workspace_id,
            MailReading.store_id == store_id,
            MailReading.leased_until > func.now(),
            MailReading.validity != 0,
        )
    )
    return found is not None


async def claim(db: Database, limit: int) -> list[Held]:
    """Mailboxes that are due and that nobody reads, as the queue role; nobody else gets them while they are held."""
    if limit <= 0:
        return []
    due = (
        select(MailReading.workspace_id, MailReading.store_id)
        .where(MailReading.next_at <= func.now(), _free())
        .order_by(MailReading.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    async with db.queue.begin() as connection:
        rows = await connection.execute(
            update(MailReading)
            .where(MailReading.workspace_id == due.c.workspace_id, MailReading.store_id == due.c.store_id)
            .values(lease=func.gen_random_uuid(), leased_until=func.clock_timestamp() + LEASE)
            .returning(
                MailReading.workspace_id, MailReading.store_id, MailReading.lease, MailReading.failures,
                MailReading.validity, MailReading.last_uid, MailReading.begun_at,
            )
        )  # fmt: skip
        return [Held(**row) for row in rows.mappings()]


async def hold(db: Database, held: Held) -> None:
    """Go on holding it. Raises LeaseLost."""
    async with db.queue.begin() as connection:
        await _write(connection, held, leased_until=func.clock_timestamp() + LEASE)


async def release(db: Database, held: Held, *, after: float, failures: int) -> None:
    """Let anybody open it again `after` seconds from now; one that was lost stays whose it is."""
    values = {"next_at": func.now() + timedelta(seconds=after), "failures": failures}
    async with db.queue.begin() as connection:
        await connection.execute(_mine(held).values(**values, lease=None, leased_until=None))


async def opened(db: Database, held: Held, validity: int, first: int) -> None:
    """The mailbox is open. For the first time: the letters from number `first` on are ours. Raises LeaseLost.

    Numbered anew: everything is looked at again. A letter that was taken already is known by its Message-ID.
    """
    if held.validity == 0:
        held.validity, held.last_uid = validity, max(0, first - 1)
    elif held.validity != validity:
        held.validity, held.last_uid = validity, 0
    held.failures = 0
    async with db.queue.begin() as connection:
        await _write(connection, held, validity=held.validity, last_uid=held.last_uid, failures=0)


async def passed(connection: AsyncConnection, held: Held, uid: int) -> None:
    """Letters up to `uid` are taken, in the transaction that made them durable. Raises LeaseLost."""
    await _write(connection, held, last_uid=uid)
    held.last_uid = uid


def _free() -> ColumnElement[bool]:
    return or_(MailReading.leased_until.is_(None), MailReading.leased_until < func.now())


def _mine(held: Held) -> Update:
    return update(MailReading).where(
        MailReading.workspace_id == held.workspace_id,
        MailReading.store_id == held.store_id,
        MailReading.lease == held.lease,
    )


async def _write(connection: AsyncConnection, held: Held, **values: Any) -> None:
    written = await connection.execute(_mine(held).values(**values))
    if not written.rowcount:
        raise LeaseLost
