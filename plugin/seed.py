"""`ahlan seed`: a shop's years of conversations, to see lists, search and reports at their real size.

Everything it makes is marked: conversations carry the tag `seeded`, people the same tag and an address that no mail can
reach. COPY into tables of the session's own, then one INSERT for each: row-level security takes no COPY.
"""

# ruff: noqa: S311, S608 (nothing here is secret; statements are put together from names of our own)

import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select, text

from plugin import team
from plugin.app import App
from plugin.conversations import search
from plugin.conversations.conversations import Priority, Status
from plugin.crm import sync
from plugin.crm.customers import StoreCustomer
from plugin.kernel.config import Settings
from plugin.kernel.db import Tx
from plugin.kernel.errors import SetupError
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, OrderRecord, Record
from plugin.seed_words import TONGUES, Tongue
from plugin.stores import Store

MARK = "seeded"
DOMAIN = "seeded.example"
_CHUNK = 1000
_YEARS = 2

# Of a hundred conversations: most of a shop's history is done.
_STATUSES = [Status.OPEN] * 4 + [Status.PENDING] * 2 + [Status.SNOOZED] + [Status.RESOLVED] * 91 + [Status.SPAM] * 2
_PRIORITIES = [Priority.NORMAL] * 8 + [Priority.LOW, Priority.HIGH]


@dataclass(frozen=True, slots=True)
class Made:
    """How far it is."""

    what: str
    done: int
    total: int


def refuse(settings: Settings) -> None:
    """Raise SetupError where real shoppers may be: a database of one's own, or an address that others reach."""
    host = urlsplit(settings.public_url).hostname or ""
    local = host == "localhost" or host.endswith(".localhost") or host.startswith("127.")
    if settings.demo or (local and not settings.database_url):
        return
    raise SetupError(
        "This installation looks like one for real shoppers, and `ahlan seed` fills the inbox with made-up ones. "
        "On a copy or a test server, say --anyway."
    )


async def seed(
    app: App, workspace_id: UUID, store_id: UUID, *, conversations: int, messages: int, number: int = 1
) -> AsyncIterator[Made]:
    """Fill a store's inbox, the same for the same `number`, and the index with it; tells how far it is."""
    dice = random.Random(number)
    async with app.db.transaction(workspace_id) as tx:
        begun = await tx.scalar(
            select(StoreCustomer.id)
            .where(StoreCustomer.workspace_id == workspace_id, StoreCustomer.external_id.startswith(f"{MARK}-"))
            .limit(1)
        )
        agents = [agent for agent in await team.agents(tx) if agent.may(team.Permission.REPLY)]
        await tx.execute(
            text("INSERT INTO tags (workspace_id, key, name) VALUES (:workspace, :tag, :tag) ON CONFLICT DO NOTHING"),
            {"workspace": workspace_id, "tag": MARK},
        )
    if begun is not None:
        raise SetupError("This workspace has been seeded already; `ahlan seed --remove` takes it out first.")
    people: list[_Person] = []
    wanted = max(1, conversations // 3)
    while len(people) < wanted:
        some = [_person(dice, number) for number in range(len(people), min(wanted, len(people) + _CHUNK))]
        async with app.db.transaction(workspace_id) as tx:
            store = await tx.get(Store, store_id)
            assert store is not None
            await sync.apply(tx, store, [record for person in some for record in person.records(dice, store)])
            ids = await tx.execute(
                text(
                    "SELECT external_id, customer_id FROM store_customers WHERE workspace_id = :workspace "
                    "AND store_id = :store AND external_id = ANY (CAST(:accounts AS text[]))"
                ),
                {"workspace": workspace_id, "store": store_id, "accounts": [person.account for person in some]},
            )
            found = {row.external_id: row.customer_id for row in ids}
        for person in some:
            person.id = found[person.account]
        people += some
        yield Made("people", len(people), wanted)
    story = _Story(dice, workspace_id, store_id, people, [(agent.id, agent.name) for agent in agents])
    told = 0
    for done in range(0, conversations, _CHUNK):
        count = min(_CHUNK, conversations - done)
        rows = story.chunk(done, count, conversations, messages - told)
        told += len(rows["messages"])
        async with app.db.transaction(workspace_id) as tx:
            for table, columns in _COLUMNS.items():
                await _copy(tx, table, columns, rows[table])
        yield Made("conversations", done + count, conversations)
    async for made in fill(app, conversations):
        yield made
    await app.db.analyze()


async def fill(app: App, total: int) -> AsyncIterator[Made]:
    """Bring the index of all workspaces up to date; a worker that does the same at once is a help."""
    done = 0
    while some := await search.drain(app, limit=5):
        done += some
        yield Made("search index", min(done, total), total)
    # A worker may have had its share.
    yield Made("search index", total, total)


async def remove(app: App, workspace_id: UUID) -> int:
    """Take out everything that was seeded; returns how many conversations."""
    gone = 0
    while True:
        async with app.db.transaction(workspace_id) as tx:
            ids = list(
                await tx.scalars(
                    text("SELECT conversation_id FROM conversation_tags WHERE workspace_id = :workspace "
                         "AND key = :tag LIMIT 1000"),
                    {"workspace": workspace_id, "tag": MARK},
                )
            )  # fmt: skip
            for table, column in (("events", "subject_id"), ("conversations", "id")):
                await tx.execute(
                    text(
                        f"DELETE FROM {table} WHERE workspace_id = :workspace AND {column} = ANY (CAST(:ids AS uuid[]))"
                    ),
                    {"workspace": workspace_id, "ids": ids},
                )
        gone += len(ids)
        if not ids:
            break
    async with app.db.transaction(workspace_id) as tx:
        for statement in _REMOVE:
            await tx.execute(text(statement), {"workspace": workspace_id, "like": f"{MARK}-%", "tag": MARK})
    return gone


_THEIRS = "SELECT customer_id FROM store_customers WHERE workspace_id = :workspace AND external_id LIKE :like"
_REMOVE = (
    f"DELETE FROM events WHERE workspace_id = :workspace AND customer_id IN ({_THEIRS})",
    "DELETE FROM orders WHERE workspace_id = :workspace AND external_id LIKE :like",
    f"DELETE FROM customers WHERE workspace_id = :workspace AND id IN ({_THEIRS})",
    "DELETE FROM tags WHERE workspace_id = :workspace AND key = :tag",
)


async def _copy(tx: Tx, table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    named = ", ".join(columns)
    await tx.execute(
        text(f"CREATE TEMPORARY TABLE seeding ({', '.join(f'{name} {kind}' for name, kind in columns.items())}) "
             "ON COMMIT DROP")
    )  # fmt: skip
    raw = await (await tx.session.connection()).get_raw_connection()
    connection: Any = raw.driver_connection
    await connection.copy_records_to_table("seeding", records=rows, columns=list(columns))
    await tx.execute(
        text(f"INSERT INTO {table} (workspace_id, {named}) SELECT :workspace, {named} FROM seeding"),
        {"workspace": tx.workspace_id},
    )
    await tx.execute(text("DROP TABLE seeding"))


_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "conversations": {
        "id": "uuid", "created_at": "timestamptz", "store_id": "uuid", "customer_id": "uuid", "channel": "text",
        "status": "text", "priority": "smallint", "snoozed_until": "timestamptz", "assignee_id": "uuid",
        "subject": "text", "preview": "text", "preview_author": "text", "locale": "text", "last_seq": "integer",
        "last_position": "integer", "shopper_read_seq": "integer", "agent_read_seq": "integer",
        "last_message_at": "timestamptz", "active_at": "timestamptz", "waiting_since": "timestamptz",
        "first_replied_at": "timestamptz", "resolved_at": "timestamptz",
    },
    "messages": {
        "id": "uuid", "created_at": "timestamptz", "conversation_id": "uuid", "store_id": "uuid", "seq": "integer",
        "position": "integer", "client_id": "uuid", "author": "text", "agent_id": "uuid", "author_name": "text",
        "kind": "text", "text": "text",
    },
    "conversation_tags": {"conversation_id": "uuid", "key": "text", "name": "text"},
}  # fmt: skip


@dataclass(slots=True)
class _Person:
    account: str
    tongue: Tongue
    first: str
    last: str
    email: str
    orders: tuple[int, ...]
    id: UUID = field(default_factory=lambda: UUID(int=0))

    def records(self, dice: random.Random, store: Store) -> Iterator[Record]:
        """What the store would tell of them."""
        since = datetime.now(UTC) - timedelta(days=dice.randrange(365 * _YEARS))
        yield CustomerRecord(
            self.account, since, self.email, "", self.first, self.last, self.tongue.locale, (MARK,), created_at=since
        )
        for number in self.orders:
            total = Money(dice.randrange(2_000, 90_000), "SAR", 2)
            yield OrderRecord(
                f"{MARK}-{number}", since, f"#{number}", since, total, payment_status="paid",
                fulfilment_status="fulfilled", customer_external_id=self.account, email=self.email, tags=(MARK,),
            )  # fmt: skip


def _person(dice: random.Random, number: int) -> _Person:
    tongue = TONGUES[number % len(TONGUES)]
    named = dice.randrange(len(tongue.first))
    orders = tuple(500_000 + 2 * number + one for one in range(dice.choice((0, 1, 1, 2))))
    return _Person(
        f"{MARK}-{number}", tongue, tongue.first[named], dice.choice(tongue.last),
        f"{tongue.latin[named]}.{number}@{DOMAIN}", orders,
    )  # fmt: skip


class _Story:
    """Makes the rows of conversations, the oldest first."""

    def __init__(
        self,
        dice: random.Random,
        workspace_id: UUID,
        store_id: UUID,
        people: Sequence[_Person],
        agents: Sequence[tuple[UUID, str]],
    ) -> None:
        self._dice = dice
        self._store = store_id
        self._people = people
        self._agents = agents
        self._begin = datetime.now(UTC) - timedelta(days=365 * _YEARS)

    def chunk(self, first: int, count: int, total: int, left: int) -> dict[str, list[tuple[Any, ...]]]:
        """Rows of `count` conversations from number `first` of `total` on, sharing the messages that are left."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        for number in range(first, first + count):
            # Exactly as many messages as asked for: each conversation takes about its share, the last one the rest.
            open_ones = total - number
            share = max(1, left // open_ones)
            size = left if open_ones == 1 else min(left - open_ones + 1, self._dice.randint(1, 2 * share - 1))
            size = max(1, size)
            left -= size
            self._tell(rows, number / total, size)
        return rows

    def _tell(self, rows: dict[str, list[tuple[Any, ...]]], when: float, size: int) -> None:
        dice = self._dice
        person = dice.choice(self._people)
        at = self._begin + timedelta(days=365 * _YEARS * when, seconds=dice.randrange(3600))
        id, begun = _id(dice, at), at
        agent, name = dice.choice(self._agents) if self._agents and dice.random() < 0.9 else (None, "")
        seq, last, replied, waiting = 0, ("", ""), None, None
        for position in range(1, size + 1):
            at += timedelta(seconds=dice.randrange(20, 3000))
            note = position > 1 and dice.random() < 0.03
            ours = bool(agent) and position > 1 and dice.random() < 0.5
            said = _filled(
                dice, person, person.tongue.notes if note else person.tongue.answered if ours else person.tongue.asked
            )
            author = "agent" if ours or (note and agent) else "shopper"
            note = note and author == "agent"
            seq += not note
            if not note:
                last = (said[:160], author)
                waiting = None if author == "agent" else waiting or at
                replied = replied or (at if author == "agent" else None)
            by = (agent, name) if author == "agent" else (None, "")
            rows["messages"].append(
                (_id(dice, at), at, id, self._store, None if note else seq, position, _id(dice, at), author, *by,
                 "note" if note else "message", said)
            )  # fmt: skip
        # What is old is done.
        status = Status.RESOLVED if when < 0.9 else dice.choice(_STATUSES) if when < 0.995 else Status.OPEN
        subject = _filled(dice, person, person.tongue.subjects) if dice.random() < 0.4 else ""
        rows["conversations"].append(
            (id, begun, self._store, person.id, "email" if subject else "widget", status.value,
             int(dice.choice(_PRIORITIES)), at + timedelta(days=900) if status is Status.SNOOZED else None, agent,
             subject, *last, person.tongue.locale, seq, size, seq, seq if when < 0.99 else 0, at, at,
             waiting if status is Status.OPEN else None, replied, at if status is Status.RESOLVED else None)
        )  # fmt: skip
        rows["conversation_tags"].append((id, MARK, MARK))


def _filled(dice: random.Random, person: _Person, sentences: Sequence[str]) -> str:
    tongue = person.tongue
    order = dice.choice(person.orders) if person.orders else dice.randrange(500_000, 600_000)
    return dice.choice(sentences).format(
        # A few things sell far better than the rest.
        product=tongue.products[int(len(tongue.products) * dice.random() ** 2)],
        colour=dice.choice(tongue.colours), city=dice.choice(tongue.cities), order=order,
        track=f"RB{dice.randrange(10**8, 10**9)}SA", name=person.first, code=f"SAVE{dice.randrange(10, 60)}",
        size=dice.choice((36, 38, 40, 42, "S", "M", "XL")),
    )  # fmt: skip


def _id(dice: random.Random, at: datetime) -> UUID:
    """A uuid of version 7 of a moment: rows lie in their order (RFC 9562, 5.7)."""
    value = (int(at.timestamp() * 1000) << 80) | dice.getrandbits(80)
    return UUID(int=(value & ~(0xF << 76) & ~(0x3 << 62)) | (0x7 << 76) | (0x2 << 62))
