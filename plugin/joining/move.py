"""The move itself: one task, one transaction, everything that belongs to the store and nothing else."""

# ruff: noqa: S608 (statements are put together from names of our own tables; values are bound)

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, Table, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from plugin import stores
from plugin.app import App
from plugin.conversations.conversations import OPEN as TALK_OPEN
from plugin.conversations.conversations import Conversation
from plugin.crm import actions, terms
from plugin.crm.batch import lock
from plugin.crm.customers import StoreCustomer
from plugin.crm.identities import regroup
from plugin.crm.recount import recount
from plugin.joining.agreement import AGREED, DONE, FAILED, MOVING, RECEIVES, StoreMove, staff_of
from plugin.kernel.db import Base, Tx
from plugin.kernel.jobs import TaskError
from plugin.kernel.moving import MOVE, PROGRESS, common_of, people_of, share
from plugin.stores import Store
from plugin.team import Agent, Role, StaffIdentity
from plugin.team.providers import SignInIdentity

_CHUNK: Final = 2000
# As long as a socket lives, and then some.
_LISTENING: Final = 7200


class _Stopped(Exception):
    """The move cannot go on; `reason` is one that `words_of` knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def move_store(app: App, workspace_id: UUID, *, move_id: str) -> None:
    """Task of the receiving workspace: move the store with all its data, in one transaction.

    Killed before its end it has done nothing, and runs again; what the platforms send meanwhile waits.
    """
    id = UUID(move_id)
    async with app.db.transaction(workspace_id) as tx:
        row = await tx.get(StoreMove, id, lock=True)
        if row is None or row.state not in (AGREED, MOVING) or row.other is None or row.store_id is None:
            return
        leaving, store_id = row.other, row.store_id
        row.state = MOVING
        async with app.db.crossing(tx, leaving) as theirs:
            side = await theirs.get(StoreMove, id)
            if side is not None:
                side.state = MOVING
    try:
        await _Move(app, id, leaving, workspace_id, store_id).run()
    except _Stopped as error:
        await _failed(app, workspace_id, id, leaving, store_id, error.reason)
    except IntegrityError as error:
        # Something hangs on the store that we do not know how to move: trying again would end the same.
        await _failed(app, workspace_id, id, leaving, store_id, "failed")
        raise TaskError(f"the store cannot be moved: {error.orig}", retry=False) from error


async def _failed(app: App, receiving: UUID, move_id: UUID, leaving: UUID, store_id: UUID, reason: str) -> None:
    """Both sides are told why; the store stays where it is and goes on."""
    ended = {"state": FAILED, "reason": reason, "finished_at": func.now()}
    async with app.db.transaction(receiving) as tx:
        for workspace_id in (receiving, leaving):
            async with app.db.crossing(tx, workspace_id) as one:
                await one.execute(update(StoreMove).where(
                    StoreMove.workspace_id == workspace_id, StoreMove.id == move_id).values(**ended))  # fmt: skip
                if workspace_id == leaving:
                    await one.execute(update(Store).where(
                        Store.workspace_id == leaving, Store.id == store_id).values(moving_since=None))  # fmt: skip
                    one.publish("stores", {"store_id": str(store_id)})
                await one.record("store.move_failed", subject_id=move_id, data={"reason": reason})


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A secret on its way from one workspace's key to another's."""

    table: Table
    column: str
    key: Mapping[str, Any]
    purpose: str
    plain: str


class _Move:
    """One run of a move, with what it must know."""

    def __init__(self, app: App, id: UUID, leaving: UUID, receiving: UUID, store_id: UUID) -> None:
        self.app = app
        self.id = id
        self.leaving = leaving
        self.receiving = receiving
        self.store_id = store_id
        self.parts = share(Base.metadata)

    async def run(self) -> None:
        db = self.app.db
        async with db.transaction(self.receiving) as tx:
            # One after the other: two moves against each other would wait for each other for ever.
            for workspace_id in sorted((self.leaving, self.receiving)):
                async with db.crossing(tx, workspace_id) as one:
                    await lock(one)
            row = await tx.get(StoreMove, self.id)
            assert row is not None
            actor, told = f"agent:{row.agent_id}", {"store": row.store_name, "parting": row.parting}
            async with db.crossing(tx, self.leaving) as theirs:
                await self._still_there(theirs)
                talks = await self._talks(theirs)
                sealed = await self._unseal(theirs)
                people = await self._people(theirs)
                behind = await self._part_families(theirs, people)
                known = await self._agents(theirs)
                staff = set(await theirs.scalars(staff_of(self.store_id)))
            ghosts = await self._bring_agents(tx, known, staff, row)
            await self._cross(tx)
            await self._seal(tx, sealed)
            await tx.execute(
                update(Store)
                .where(Store.workspace_id == tx.workspace_id, Store.id == self.store_id)
                .values(moving_since=None)
            )
            await self._unassign(tx, ghosts)
            await self._recognise(tx, people.all, quiet=row.parting)
            await self._words(tx, people.common)
            async with db.crossing(tx, self.leaving) as theirs:
                await recount(theirs, behind)
                await regroup(theirs, behind, quiet=True)
                await self._words(theirs, people.common)
                await recount(theirs, people.common)
                await self._let_go(theirs, staff)
                await theirs.record("store.left", subject_id=self.store_id, actor=actor, data=told)
                await self._finish(theirs)
                for talk in talks:
                    theirs.publish(f"conversation:{talk}", {"type": "moved"})
                empty = await self._is_empty(theirs)
                if empty:
                    await _close(theirs)
            await tx.record("store.joined", subject_id=self.store_id, store_id=self.store_id, actor=actor, data=told)
            await self._finish(tx)
            # Its history goes on where it stopped; a store that was read to the end is left alone.
            await tx.enqueue("start_backfill", unique=f"backfill:{self.store_id}", store_id=self.store_id)
            await actions.go_on(tx, self.store_id)
            await tx.complete_job()

    async def _still_there(self, theirs: Tx) -> None:
        side = await theirs.get(StoreMove, self.id)
        store = await theirs.get(Store, self.store_id, lock=True)
        if side is None or store is None or store.status == stores.UNINSTALLED:
            raise _Stopped("store_gone")

    # Secrets

    async def _unseal(self, theirs: Tx) -> list[_Sealed]:
        """Open what is sealed with the old workspace's key, and let nobody renew it meanwhile."""
        found = []
        for table in self.parts.tables:
            columns = [column for column in table.c if "sealed" in column.info]
            if not columns:
                continue
            rows = await theirs.execute(
                select(table).where(
                    table.c.workspace_id == theirs.workspace_id, table.c.store_id == self.store_id
                ).with_for_update()
            )  # fmt: skip
            for row in rows.mappings():
                key = {column.name: row[column.name] for column in table.primary_key if column.name != "workspace_id"}
                for column in columns:
                    purpose = str(column.info["sealed"]).format(**row)
                    plain = await self.app.vault.decrypt(theirs, row[column.name], purpose)
                    found.append(_Sealed(table, column.name, key, purpose, plain))
        return found

    async def _seal(self, tx: Tx, sealed: Sequence[_Sealed]) -> None:
        for one in sealed:
            closed = await self.app.vault.encrypt(tx, one.plain, one.purpose)
            # As SQL: the row was not changed, and does not say so.
            where = " AND ".join(f"{name} = :{name}" for name in one.key)
            await tx.execute(
                text(f"UPDATE {one.table.name} SET {one.column} = :closed WHERE workspace_id = :workspace AND {where}"),
                {"closed": closed, "workspace": tx.workspace_id, **one.key},
            )

    # People

    async def _people(self, theirs: Tx) -> "_People":
        """Everybody whom the store knows, and those of them whom something that stays behind knows too."""
        bound = {"workspace": self.leaving, "store": self.store_id}
        everybody = list(await theirs.scalars(text(people_of(self.parts, ":workspace", ":store")), bound))
        common = await theirs.scalars(
            text(common_of(self.parts, ":workspace", ":store", "CAST(:people AS uuid[])")),
            {**bound, "people": everybody},
        )
        return _People(everybody, set(common))

    async def _part_families(self, theirs: Tx, people: "_People") -> list[UUID]:
        """Take apart who is one person across the line: families, merges, and what tells of them.

        Returns the rows on this side that lost a relative. Those on the other side are computed there.
        """
        bound = {"workspace": self.leaving, "mine": list(people.mine)}
        cut = (await theirs.execute(text(_CUT), bound)).all()
        await theirs.execute(text(_APART), {"workspace": self.leaving, "ids": [row.id for row in cut]})
        for statement in (_MERGES_ACROSS, _TOLD_ACROSS):
            await theirs.execute(text(statement), bound)
        touched = {id for row in cut for id in (row.id, row.head)} - people.mine
        if cut:
            # Others of the same person: their head may have gone.
            heads = [row.head for row in cut]
            touched |= set(await theirs.scalars(text(_RELATIVES), {"workspace": self.leaving, "heads": heads}))
        return list(touched - people.mine)

    async def _recognise(self, tx: Tx, people: Collection[UUID], *, quiet: bool) -> None:
        """Who is one person here now: by proven handles alone, computed as ever."""
        ordered = sorted(people)
        for start in range(0, len(ordered), _CHUNK):
            some = ordered[start : start + _CHUNK]
            await recount(tx, some)
            await regroup(tx, some, quiet=quiet)

    async def _words(self, tx: Tx, people: Collection[UUID]) -> None:
        """The words that find those who are on both sides now: each side's from what it knows."""
        if not people:
            return
        await terms.forget(tx, people, terms.PROFILE)
        found: dict[UUID, set[str]] = {}
        for row in await tx.scalars(select(StoreCustomer).where(
            StoreCustomer.workspace_id == tx.workspace_id, StoreCustomer.customer_id.in_(list(people)))):  # fmt: skip
            words = terms.words_of(f"{row.first_name} {row.last_name}", row.email, row.phone)
            found.setdefault(row.customer_id, set()).update(words)
        await terms.write(tx, found, terms.PROFILE)

    # Agents

    async def _agents(self, theirs: Tx) -> Sequence[Mapping[str, Any]]:
        """Everybody on the team whom the store's rows name: its staff, and who wrote or had its conversations."""
        ids: set[UUID] = set()
        for link in self.parts.needs:
            if link.to is not Agent.__table__ or "store_id" not in link.table.c:
                continue
            column = link.table.c[link.column]
            ids |= set(await theirs.scalars(
                select(column).distinct().where(
                    link.table.c.workspace_id == theirs.workspace_id, link.table.c.store_id == self.store_id,
                    column.is_not(None),
                )
            ))  # fmt: skip
        side = await theirs.get(StoreMove, self.id)
        if side is not None and side.parting:
            by = await theirs.get(Agent, side.agent_id)
            if by is not None and by.password_hash:
                ids.add(by.id)
        rows = await theirs.execute(
            select(Agent.__table__).where(Agent.workspace_id == self.leaving, Agent.id.in_(ids))
        )
        return [dict(row) for row in rows.mappings()]

    async def _bring_agents(
        self, tx: Tx, known: Sequence[Mapping[str, Any]], staff: Collection[UUID], row: StoreMove
    ) -> list[UUID]:
        """The store's staff come along as agents without money rights; of others only the name on what they wrote.

        Nobody is taken for somebody else by an equal address: it is left out when somebody has it here. Who gave a
        store a workspace of its own owns that. Returns those who did not come along.
        """
        taken = set(await tx.scalars(select(Agent.email).where(Agent.email.is_not(None))))
        ghosts = []
        for one in known:
            owner = row.parting and one["id"] == row.agent_id and (one["id"] in staff or one["password_hash"])
            comes = owner or one["id"] in staff
            light = one["role"] == Role.LIGHT
            email = one["email"] if comes and one["email"] not in taken else None
            if not comes:
                ghosts.append(one["id"])
            values = {
                "workspace_id": tx.workspace_id,
                "id": one["id"],
                "name": one["name"],
                "created_at": one["created_at"],
                "email": email,
                "role": Role.OWNER if owner else Role.AGENT if comes and not light else Role.LIGHT,
                "locale": one["locale"] if comes else "",
                "timezone": one["timezone"] if comes else "",
                "available": one["available"] if comes else False,
                "password_hash": one["password_hash"] if owner and email else "",
                "deactivated_at": one["deactivated_at"] if comes else one["deactivated_at"] or datetime.now(UTC),
            }
            await tx.execute(
                insert(Agent).values(**values).on_conflict_do_nothing(index_elements=["workspace_id", "id"])
            )
            if values["password_hash"]:
                await stores.claim(tx, "sign_in", self.app.vault.fingerprint("email", email or ""))
        return ghosts

    async def _unassign(self, tx: Tx, ghosts: Collection[UUID]) -> None:
        """A conversation waits for nobody who is not here."""
        await tx.execute(
            update(Conversation)
            .where(
                Conversation.workspace_id == tx.workspace_id,
                Conversation.store_id == self.store_id,
                Conversation.assignee_id.in_(list(ghosts)),
                Conversation.status == TALK_OPEN,
            )
            .values(assignee_id=None)
        )

    async def _let_go(self, theirs: Tx, staff: Collection[UUID]) -> None:
        """Staff who came in only through this store have no way in any more; what they wrote elsewhere stays."""
        still = select(StaffIdentity.agent_id).where(StaffIdentity.workspace_id == self.leaving)
        gone = list(
            await theirs.scalars(
                select(Agent.id).where(
                    Agent.workspace_id == self.leaving,
                    Agent.id.in_(list(staff)),
                    Agent.password_hash == "",
                    Agent.id.not_in(_by_provider(self.leaving)),
                    Agent.id.not_in(still),
                )
            )
        )
        await theirs.execute(
            update(Conversation)
            .where(
                Conversation.workspace_id == self.leaving,
                Conversation.assignee_id.in_(gone),
                Conversation.status == TALK_OPEN,
            )
            .values(assignee_id=None)
        )
        for id in gone:
            mine = (Agent.workspace_id == self.leaving, Agent.id == id)
            try:
                async with theirs.session.begin_nested():
                    await theirs.execute(delete(Agent).where(*mine))
            except IntegrityError:
                away = update(Agent).where(*mine, Agent.deactivated_at.is_(None))
                await theirs.execute(away.values(deactivated_at=func.now()))

    # The crossing itself

    async def _cross(self, tx: Tx) -> None:
        async with self._told(tx):
            await tx.execute(
                text(f"SELECT {MOVE}(:move, :leaving, :receiving)"),
                {"move": self.id, "leaving": self.leaving, "receiving": self.receiving},
            )

    @asynccontextmanager
    async def _told(self, tx: Tx) -> AsyncIterator[None]:
        """The function says how far it is by notices; both sides' rows show it, outside its transaction."""
        raw = await (await tx.session.connection()).get_raw_connection()
        connection: Any = raw.driver_connection
        news: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()

        def heard(_connection: Any, message: Any) -> None:
            words = str(message.message).split()
            if words and words[0] == PROGRESS:
                news.put_nowait((int(words[1]), int(words[2])))

        writer = asyncio.create_task(self._write(news))
        connection.add_log_listener(heard)
        try:
            yield
        finally:
            connection.remove_log_listener(heard)
            news.put_nowait(None)
            await writer

    async def _write(self, news: "asyncio.Queue[tuple[int, int] | None]") -> None:
        while (far := await news.get()) is not None:
            done, total = far
            values = {"done_rows": min(done, total), "total_rows": total}
            with contextlib.suppress(Exception):
                async with self.app.db.transaction(self.receiving) as tx:
                    for workspace_id in (self.receiving, self.leaving):
                        async with self.app.db.crossing(tx, workspace_id) as one:
                            await one.execute(update(StoreMove).where(
                                StoreMove.workspace_id == workspace_id, StoreMove.id == self.id).values(**values)
                            )  # fmt: skip

    async def _finish(self, tx: Tx) -> None:
        await tx.execute(
            update(StoreMove)
            .where(StoreMove.workspace_id == tx.workspace_id, StoreMove.id == self.id)
            .values(state=DONE, finished_at=func.now())
        )
        tx.publish("stores", {"store_id": str(self.store_id)})

    async def _talks(self, tx: Tx) -> Sequence[UUID]:
        """Conversations in which somebody may still be listening."""
        lately = datetime.now(UTC) - timedelta(seconds=_LISTENING)
        return list(
            await tx.scalars(
                select(Conversation.id).where(
                    Conversation.workspace_id == tx.workspace_id,
                    Conversation.store_id == self.store_id,
                    Conversation.last_message_at > lately,
                )
            )
        )

    async def _is_empty(self, theirs: Tx) -> bool:
        """Whether nobody can come into what is left: no store, and nobody with a password or a provider's account.

        A store that is on its way in counts: its own side waits for this one.
        """
        coming = await theirs.scalar(
            select(StoreMove.id).where(
                StoreMove.workspace_id == self.leaving,
                StoreMove.side == RECEIVES,
                StoreMove.state.in_([AGREED, MOVING]),
            ).limit(1)
        )  # fmt: skip
        if coming is not None:
            return False
        left = await theirs.scalar(select(func.count()).select_from(Store))
        signs_in = or_(Agent.password_hash != "", Agent.id.in_(_by_provider(self.leaving)))
        who = select(func.count()).select_from(Agent).where(signs_in, Agent.deactivated_at.is_(None))
        return not left and not await theirs.scalar(who)


@dataclass(frozen=True, slots=True)
class _People:
    """The store's people; `common` are also known to something that stays."""

    everybody: Sequence[UUID]
    common: set[UUID]

    @property
    def all(self) -> set[UUID]:
        return set(self.everybody)

    @property
    def mine(self) -> set[UUID]:
        return set(self.everybody) - self.common


async def _close(tx: Tx) -> None:
    """Nobody can come into this workspace any more: nothing of it is kept."""
    for table in reversed(Base.metadata.sorted_tables):
        if table.info.get("access", "tenant") == "tenant" or table.info.get("access") == "directory":
            await tx.execute(table.delete().where(table.c.workspace_id == tx.workspace_id))
    await tx.execute(
        text("UPDATE jobs SET done_at = now() WHERE workspace_id = :workspace AND done_at IS NULL"),
        {"workspace": tx.workspace_id},
    )


_MINE = "CAST(:mine AS uuid[])"

_CUT = f"""
SELECT id, merged_into AS head FROM customers WHERE workspace_id = :workspace AND merged_into IS NOT NULL
    AND id = ANY ({_MINE}) AND NOT merged_into = ANY ({_MINE})
UNION ALL
SELECT id, merged_into FROM customers WHERE workspace_id = :workspace AND merged_into = ANY ({_MINE})
    AND NOT id = ANY ({_MINE})
"""

_APART = """
UPDATE customers SET merged_into = NULL WHERE workspace_id = :workspace AND id = ANY (CAST(:ids AS uuid[]))
"""

_RELATIVES = """
SELECT id FROM customers WHERE workspace_id = :workspace AND merged_into = ANY (CAST(:heads AS uuid[]))
"""

_MERGES_ACROSS = f"""
DELETE FROM customer_merges WHERE workspace_id = :workspace
    AND (survivor_id = ANY ({_MINE})) <> (absorbed_id = ANY ({_MINE}))
"""

# Who is gone since (a row that an order gave up) is on no side: what was told of them stays where it was told.
_TOLD_ACROSS = f"""
DELETE FROM events USING customers other WHERE events.workspace_id = :workspace AND other.workspace_id = :workspace
    AND kind IN ('customer.merged', 'customer.unmerged')
    AND other.id = CAST(coalesce(data ->> 'absorbed', data ->> 'from') AS uuid)
    AND (customer_id = ANY ({_MINE})) <> (other.id = ANY ({_MINE}))
"""


def _by_provider(workspace_id: UUID) -> Select[UUID]:
    """The ids of the agents who may sign in through a provider."""
    return select(SignInIdentity.agent_id).where(SignInIdentity.workspace_id == workspace_id)
