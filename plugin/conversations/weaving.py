"""Messages of several threads as one, and one as several: in order of time, numbered without gaps.

Within a thread the order never changes, whatever its clocks said: that is what makes taking apart exact.
"""

# ruff: noqa: S608 (statements are put together from names of our own; values are bound)

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, delete, func, insert, select, text, update

from plugin.conversations.attachments import Attachment
from plugin.conversations.changes import MessageVersion
from plugin.conversations.conversations import TABLE, ConversationRead
from plugin.conversations.letters import Letter
from plugin.conversations.mentions import Mention
from plugin.conversations.messages import Message
from plugin.kernel import bulk
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _

MOST = 5_000
"""Messages that are woven at once: they are held, all of them, while it lasts."""

_MESSAGES = cast(Table, Message.__table__)
_MENTIONS = cast(Table, Mention.__table__)
_READS = cast(Table, ConversationRead.__table__)


@dataclass(frozen=True, slots=True)
class Line:
    """A message by its place: `seq` is None where the shopper does not see it."""

    id: UUID
    thread: UUID
    position: int
    seq: int | None
    at: datetime
    author: str = ""


def woven(lines: Collection[Line]) -> list[Line]:
    """All in order of time; of one thread in its own order. Pure."""
    latest: dict[UUID, datetime] = {}
    keyed = []
    for line in sorted(lines, key=lambda line: (line.thread, line.position)):
        # A message whose clock was behind stays behind the one before it.
        at = latest[line.thread] = max(line.at, latest.get(line.thread, line.at))
        keyed.append(((at, line.thread, line.position), line))
    return [line for _key, line in sorted(keyed, key=lambda one: one[0])]


def numbered(lines: Sequence[Line], thread: UUID) -> list[Line]:
    """These lines as a thread: positions from 1, and of what the shopper sees numbers from 1. Pure."""
    made, seq = [], 0
    for position, line in enumerate(lines, 1):
        seq += line.seq is not None
        made.append(Line(line.id, thread, position, seq if line.seq is not None else None, line.at, line.author))
    return made


def read_up_to(before: Sequence[Line], after: Sequence[Line], marks: Mapping[UUID, int]) -> int:
    """A reader's mark in the woven thread: everything before the first message that was unread in its own. Pure."""
    new = {line.id: line.seq for line in after if line.seq is not None}
    unread = [
        new[line.id]
        for line in before
        if line.seq is not None and line.seq > marks.get(line.thread, 0) and line.id in new
    ]
    return min(unread) - 1 if unread else max(new.values(), default=0)


def own_mark(before: Sequence[Line], after: Sequence[Line], mark: int) -> int:
    """A mark of the woven thread in one that was taken out of it: how many of its messages lie before. Pure."""
    kept = {line.id for line in after if line.seq is not None}
    return sum(1 for line in before if line.seq is not None and line.seq <= mark and line.id in kept)


async def lines(tx: Tx, threads: Collection[UUID]) -> list[Line]:
    """Every message of these threads. Raises AhlanError for more than can be held."""
    rows = (
        await tx.execute(
            select(
                _MESSAGES.c.id, _MESSAGES.c.conversation_id, _MESSAGES.c.position, _MESSAGES.c.seq,
                _MESSAGES.c.created_at, _MESSAGES.c.author,
            )
            .where(_MESSAGES.c.workspace_id == tx.workspace_id, _MESSAGES.c.conversation_id.in_(threads))
            .order_by(_MESSAGES.c.conversation_id, _MESSAGES.c.position)
            .limit(MOST + 1)
        )
    ).all()  # fmt: skip
    if len(rows) > MOST:
        raise AhlanError(_("These conversations are too long to be put together or taken apart."), code="too_long")
    return [Line(row.id, row.conversation_id, row.position, row.seq, row.created_at, row.author) for row in rows]


# First out of the way: two messages never have one number, not even for a moment.
_ASIDE = f"""
UPDATE messages m SET conversation_id = r.thread, position = -r.position, seq = -r.seq
FROM {bulk.recordset({"id": "uuid", "thread": "uuid", "position": "integer", "seq": "integer"})}
WHERE m.workspace_id = :workspace AND m.id = r.id
"""
_SETTLE = """
UPDATE messages SET position = -position, seq = -seq
WHERE workspace_id = :workspace AND conversation_id = ANY (CAST(:threads AS uuid[])) AND position < 0
"""


async def place(tx: Tx, before: Sequence[Line], after: Sequence[Line]) -> None:
    """Put messages to their new places, with their files, earlier words and calls. The threads are held."""
    had = {line.id: (line.thread, line.position, line.seq) for line in before}
    moved = [line for line in after if had[line.id] != (line.thread, line.position, line.seq)]
    if not moved:
        return
    rows = bulk.dump(
        [{"id": line.id, "thread": line.thread, "position": line.position, "seq": line.seq} for line in moved]
    )
    threads = {line.thread for line in (*before, *after)}
    await tx.execute(text(_ASIDE), {"workspace": tx.workspace_id, "rows": rows})
    await tx.execute(text(_SETTLE), {"workspace": tx.workspace_id, "threads": list(threads)})
    elsewhere: dict[UUID, list[UUID]] = defaultdict(list)
    for line in moved:
        if had[line.id][0] != line.thread:
            elsewhere[line.thread].append(line.id)
    for thread, ids in elsewhere.items():
        for table in (cast(Table, Attachment.__table__), cast(Table, MessageVersion.__table__)):
            await tx.execute(
                update(table)
                .where(table.c.workspace_id == tx.workspace_id, table.c.message_id.in_(ids))
                .values(conversation_id=thread)
            )
    await _call_there(tx, before, after, threads)
    # Whatever was indexed of their heads is made anew too.
    await tx.execute(
        text("INSERT INTO search_queue (workspace_id, conversation_id, start) "
             "SELECT :workspace, unnest(CAST(:threads AS uuid[])), 0"),
        {"workspace": tx.workspace_id, "threads": list(threads)},
    )  # fmt: skip


async def _call_there(tx: Tx, before: Sequence[Line], after: Sequence[Line], threads: Collection[UUID]) -> None:
    """Who was called in a note is called where the note stands now."""
    of = (_MENTIONS.c.workspace_id == tx.workspace_id, _MENTIONS.c.conversation_id.in_(threads))
    calls = (await tx.execute(select(_MENTIONS).where(*of))).mappings().all()
    if not calls:
        return
    places = {line.id: (line.thread, line.position) for line in after}
    now = {(line.thread, line.position): places.get(line.id, (line.thread, line.position)) for line in before}
    await tx.execute(delete(_MENTIONS).where(*of))
    made = []
    for call in calls:
        there = now.get((call["conversation_id"], call["position"]), (call["conversation_id"], call["position"]))
        made.append({**call, "conversation_id": there[0], "position": there[1]})
    await tx.execute(insert(_MENTIONS).values(made))


async def letters_of(tx: Tx, thread: UUID) -> list[UUID]:
    """Every mail of a thread, also those that became no message."""
    table = cast(Table, Letter.__table__)
    found = await tx.scalars(
        select(table.c.id).where(table.c.workspace_id == tx.workspace_id, table.c.conversation_id == thread)
    )
    return list(found)


async def letters_about(tx: Tx, messages: Collection[UUID]) -> list[UUID]:
    """The mails that these messages came or went as."""
    table = cast(Table, Letter.__table__)
    found = await tx.scalars(
        select(table.c.id).where(table.c.workspace_id == tx.workspace_id, table.c.message_id.in_(messages))
    )
    return list(found)


async def send_letters(tx: Tx, ids: Collection[UUID], thread: UUID) -> None:
    """Mails belong to another thread now: what answers them goes there."""
    table = cast(Table, Letter.__table__)
    await tx.execute(
        update(table).where(table.c.workspace_id == tx.workspace_id, table.c.id.in_(ids)).values(conversation_id=thread)
    )


async def reads_of(tx: Tx, threads: Collection[UUID]) -> dict[UUID, dict[UUID, int]]:
    """By agent: up to which number they read each of these threads."""
    rows = await tx.execute(
        select(_READS.c.agent_id, _READS.c.conversation_id, _READS.c.seq).where(
            _READS.c.workspace_id == tx.workspace_id, _READS.c.conversation_id.in_(threads)
        )
    )
    found: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for row in rows:
        found[row.agent_id][row.conversation_id] = row.seq
    return found


async def set_reads(tx: Tx, thread: UUID, marks: Mapping[UUID, int]) -> None:
    """Who of the team has read a thread how far; nobody else has."""
    here = (_READS.c.workspace_id == tx.workspace_id, _READS.c.conversation_id == thread)
    await tx.execute(delete(_READS).where(*here))
    rows = [
        {"workspace_id": tx.workspace_id, "agent_id": agent, "conversation_id": thread, "seq": seq}
        for agent, seq in marks.items()
    ]
    if rows:
        await tx.execute(insert(_READS).values(rows))


async def set_values(tx: Tx, thread: UUID, values: Mapping[str, Any]) -> None:
    """Columns of a conversation; whatever is numbered in it has other numbers from now on."""
    await tx.execute(
        update(TABLE)
        .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == thread)
        .values(**values, numbering=TABLE.c.numbering + 1)
    )


async def moment(tx: Tx) -> datetime:
    """Now, by the clock that times of messages come from."""
    return cast(datetime, await tx.scalar(select(func.clock_timestamp())))
