"""Messages of a conversation: received, replied, noted, read again after a number."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Index, TextClause, UniqueConstraint, bindparam, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import attachments, clocks, mentions
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import OPEN, ByRule, Conversation, Head, Shopper, Status
from plugin.crm import customers
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import harmless
from plugin.team import Agent

MAX_TEXT = 4000
PAGE = 50

SHOPPER = "shopper"
AGENT = "agent"
BOT = "bot"
OUTSIDE = "outside"
"""Whom the team asked about a conversation, and who is neither of it nor its customer: only in notes."""

MESSAGE = "message"
NOTE = "note"

_PREVIEW = 160


class Message(TenantRow, Base):
    """One message. `author`: shopper, agent, bot, system; `kind`: message, or note (never leaves the team).

    `client_id` is made by the sender, so that a resend falls through quietly. `seq` counts what the shopper may see
    and is null for notes, so that nobody outside can count them; `position` counts everything. `data.attachments`
    repeats what the message carries and `data.mentions` the names it calls, so that a page of messages is one query;
    beside them stand `request` (a form wrote it), `cards`, `replies` (chips that answer it), `link` (what is behind its
    first address), `signs` (sign to who put it there), `forward` (whom a note was sent to), `gone` (mailed from another
    thread), `language` (of what we said ourselves) and `original` (an agent's words before they were translated).
    `changed_at` is of whatever became of it later (`changes`); of a deleted one nothing is left here.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("workspace_id", "conversation_id", "seq"),
        UniqueConstraint("workspace_id", "conversation_id", "client_id"),
        Index("uq_messages_position", "workspace_id", "conversation_id", "position", unique=True),
        Index(None, "workspace_id", "store_id"),
        Index(
            "ix_messages_changed",
            "workspace_id",
            "conversation_id",
            "changed_at",
            postgresql_where=sql("changed_at IS NOT NULL"),
        ),
        tenant_key("conversation_id", "conversations"),
        tenant_key("agent_id", "agents", ondelete="RESTRICT"),
    )

    conversation_id: Mapped[UUID]
    store_id: Mapped[UUID | None]
    seq: Mapped[int | None]
    position: Mapped[int]
    client_id: Mapped[UUID]
    author: Mapped[str]
    agent_id: Mapped[UUID | None]
    author_name: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default=MESSAGE)
    text: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


async def receive(
    tx: Tx, shopper: Shopper, client_id: UUID, body: str, files: Sequence[UUID] = (), *, request: bool = False
) -> dict[str, Any]:
    """A shopper writes. Returns the message's JSON; a resend returns the one that is there already.

    With `request` a form of ours put it together and the team has it as such: the bot has nothing to add.

    Begins a conversation when there is none and opens one again that waited or was resolved. Raises AhlanError for an
    empty or too long text and for files that are not theirs.
    """
    body = clean(body, files)
    head = await threads.open_for(tx, shopper)
    message = await _append(
        tx, head, SHOPPER, client_id, body, files, uploader=shopper.actor, actor=shopper.actor,
        event="message.received", more={"request": True} if request else None,
    )  # fmt: skip
    if message is None:
        return await _resent(tx, head.id, client_id)
    if head.customer_id is not None:
        await customers.contacted(tx, head.customer_id, datetime.now(UTC))
    return message


MAX_MAIL = 60_000
"""Characters of a mail that stand in the thread."""


async def receive_mail(
    tx: Tx, conversation_id: UUID, client_id: UUID, body: str, files: Sequence[UUID], *, actor: str
) -> dict[str, Any]:
    """The other side writes by e-mail: `body` is `cleaned`, the files are `actor`'s. A mail may carry nothing but them.

    Returns the message's JSON. Raises NotFound.
    """
    head = await threads.lock_living(tx, conversation_id)
    if head is None:
        raise NotFound(_("This conversation is no longer there."))
    message = await _append(
        tx, head, SHOPPER, client_id, body, files, uploader=actor, actor=actor, event="message.received",
        most=len(files),
    )  # fmt: skip
    if message is None:
        return await _resent(tx, head.id, client_id)
    if head.customer_id is not None:
        await customers.contacted(tx, head.customer_id, datetime.now(UTC))
    return message


def cleaned(body: str) -> str:
    """Text from elsewhere without control characters, cut where a thread ends to be readable."""
    return _CONTROLS.sub("", body.replace("\r\n", "\n")).strip()[:MAX_MAIL]


async def reply(
    tx: Tx,
    conversation: Conversation,
    by: Agent,
    client_id: UUID,
    body: str,
    files: Sequence[UUID] = (),
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An agent answers. Opens a resolved conversation, and takes one that nobody has.

    `more`: `cards` and `replies` as `cards.py` makes them.
    """
    body = clean(body, files or (more or {}).get("cards", ()))
    head = await _locked(tx, conversation)
    actor = f"agent:{by.id}"
    message = await _append(
        tx, head, AGENT, client_id, body, files, agent=by, uploader=actor, actor=actor, event="message.sent", more=more
    )
    if message is None:
        return await _resent(tx, head.id, client_id)
    if head.assignee_id is None:
        await threads.assigned(tx, head, by.id, by=by)
    await threads.remember_read(tx, head.id, by, head.last_seq + 1)
    await tx.session.refresh(conversation)
    return message


async def note(
    tx: Tx,
    conversation: Conversation,
    by: Agent,
    client_id: UUID,
    body: str,
    files: Sequence[UUID] = (),
    *,
    chosen: Collection[UUID] = (),
) -> dict[str, Any]:
    """An agent writes to colleagues. Never numbered, counted or told on the shopper's side.

    Who is called in it (`@` and a name; `chosen` from the list) finds it among their mentions. Raises AhlanError for
    somebody chosen who has no access.
    """
    body = clean(body, files)
    head = await _locked(tx, conversation)
    actor = f"agent:{by.id}"
    called = mentions.called(body, await mentions.people(tx), chosen) if "@" in body or chosen else []
    message = await _append(
        tx, head, AGENT, client_id, body, files, agent=by, kind=NOTE, uploader=actor, actor=actor, event="note.added",
        mentioned=[agent.name for agent in called],
    )  # fmt: skip
    if message is None:
        return await _resent(tx, head.id, client_id)
    await mentions.remember(tx, head.id, head.last_position + 1, called, by=by.id)
    await tx.session.refresh(conversation)
    return message


def automatic_id(conversation_id: UUID, behind: UUID | None) -> UUID:
    """The `client_id` of whatever answers by itself behind a message that a person wrote: there is one and no more.

    A rule and the bot, two rules, two workers and a repeated job all write under it, and one of them does. Pure.
    """
    return uuid5(conversation_id, f"automatic {behind or ''}")


async def last_by_a_person(tx: Tx, conversation_id: UUID) -> UUID | None:
    """The id of the last message that the other side can see and that no machine of ours wrote."""
    found: UUID | None = await tx.scalar(
        select(Message.id)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.seq.is_not(None),
            Message.author.in_((SHOPPER, AGENT)),
        )
        .order_by(Message.seq.desc())
        .limit(1)
    )
    return found


async def answer_by_rule(tx: Tx, head: Head, body: str, *, by: ByRule) -> dict[str, Any] | None:
    """A rule answers, once behind each message of a person; None when something else has. The caller holds `head`.

    Whoever waits goes on waiting: only a person's answer ends that, and the status stays as it is.
    """
    client_id = automatic_id(head.id, await last_by_a_person(tx, head.id))
    more = {"rule": {"id": str(by.id), "name": by.name}}
    return await _append(
        tx, head, BOT, client_id, clean(body), (), uploader="", actor=by.actor, event="message.automatic", more=more
    )


async def note_by_rule(
    tx: Tx, head: Head, client_id: UUID, body: str, *, by: ByRule, calls: Sequence[Agent] = ()
) -> dict[str, Any] | None:
    """A rule writes to the team, and calls some of it; None when it has already. The caller holds `head`."""
    message = await _append(
        tx, head, BOT, client_id, clean(body), (), kind=NOTE, uploader="", actor=by.actor, event="note.added",
        mentioned=[agent.name for agent in calls], more={"rule": {"id": str(by.id), "name": by.name}},
    )  # fmt: skip
    if message is not None:
        await mentions.remember(tx, head.id, head.last_position + 1, calls, by=None)
    return message


async def answer_by_bot(
    tx: Tx, head: Head, behind: UUID, body: str, *, name: str, more: Mapping[str, Any], settles: bool
) -> dict[str, Any] | None:
    """The bot answers what a person wrote (`behind`), under its `name`; None when something else has. Holds `head`.

    `settles`: nobody has to do anything now, so the conversation no longer counts as waiting.
    """
    message = await _append(
        tx, head, BOT, automatic_id(head.id, behind), clean(body[:MAX_TEXT]), (), uploader="", actor="bot",
        event="message.automatic", more=more, name=name,
    )  # fmt: skip
    if message is not None and settles:
        await tx.execute(
            update(threads.TABLE)
            .where(threads.TABLE.c.workspace_id == tx.workspace_id, threads.TABLE.c.id == head.id)
            .values(waiting_since=None)
        )
        await clocks.keep(tx, head.id)
    return message


async def note_by_bot(tx: Tx, head: Head, client_id: UUID, body: str, *, name: str) -> None:
    """What the bot tells the team when it hands over; once for a `client_id`. The caller holds `head`."""
    await _append(
        tx, head, BOT, client_id, clean(body[:MAX_TEXT]), (), kind=NOTE, uploader="", actor="bot", event="note.added",
        name=name,
    )  # fmt: skip


async def write_aside(
    tx: Tx,
    conversation_id: UUID,
    client_id: UUID,
    body: str,
    files: Sequence[UUID],
    *,
    by: Agent | None,
    event: str,
    name: str = "",
    uploader: str = "",
    most: int = attachments.MAX_PER_MESSAGE,
    more: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], bool]:
    """A letter to somebody outside (`by` an agent), or what they (`name`) answered: as a note. Its JSON, and whether it
    is new: a resend is not. Raises NotFound, AhlanError for too long a text.
    """
    head = await threads.lock_living(tx, conversation_id)
    if head is None:
        raise NotFound(_("This conversation is no longer there."))
    body = clean(body, (1,)) if by is not None else body
    message = await _append(
        tx, head, AGENT if by is not None else OUTSIDE, client_id, body, files, agent=by, kind=NOTE,
        uploader=by.actor if by is not None else uploader, actor=by.actor if by is not None else "system",
        event=event, most=most, more=more, name=name,
    )  # fmt: skip
    if message is None:
        return await _resent(tx, head.id, client_id), False
    return message, True


async def tell(
    tx: Tx, conversation_id: UUID, client_id: UUID, body: str, *, name: str, files: Sequence[UUID] = (),
    uploader: str = "", language: str = "",
) -> bool:  # fmt: skip
    """The shop says something by itself, under its own `name`. It wakes nobody: what was resolved stays resolved.

    `language`: the one that `body` is in, where that is known: a letter with these words is written in it too.
    Returns whether it was new: the same `client_id` is said once. Without the conversation nothing is said.
    """
    head = await threads.lock_living(tx, conversation_id)
    if head is None:
        return False
    told = await _append(
        tx,
        head,
        BOT,
        client_id,
        clean(body),
        files,
        uploader=uploader,
        actor="system",
        event="message.told",
        name=name,
        more={"language": language} if language else None,
    )
    return told is not None


async def keep_files(
    tx: Tx, conversation_id: UUID, client_id: UUID, body: str, files: Sequence[UUID], *, uploader: str
) -> None:
    """Files that came another way than by a message: kept for the team. Raises AhlanError as `attachments`."""
    head = await threads.lock_living(tx, conversation_id)
    if head is not None:
        await _append(
            tx, head, BOT, client_id, clean(body, files)[:MAX_TEXT], files, kind=NOTE, uploader=uploader,
            actor=uploader or "system", event="note.added",
        )  # fmt: skip


async def is_there(tx: Tx, conversation_id: UUID, client_id: UUID) -> bool:
    """Whether a message that its sender calls `client_id` was written already: what comes now is a resend."""
    return await _by_client_id(tx, conversation_id, client_id) is not None


async def messages_after(tx: Tx, conversation_id: UUID, seq: int, limit: int = PAGE) -> list[Message]:
    """What the shopper may see after `seq`, oldest first."""
    rows = await tx.scalars(
        select(Message)
        .where(Message.workspace_id == tx.workspace_id, Message.conversation_id == conversation_id, Message.seq > seq)
        .order_by(Message.seq)
        .limit(limit)
    )
    return list(rows)


async def messages_before(tx: Tx, conversation_id: UUID, seq: int | None, limit: int = PAGE) -> list[Message]:
    """The newest page that the shopper may see before `seq` (None: of all), oldest first."""
    visible = Message.seq.is_not(None) if seq is None else Message.seq < seq
    rows = await tx.scalars(
        select(Message)
        .where(Message.workspace_id == tx.workspace_id, Message.conversation_id == conversation_id, visible)
        .order_by(Message.seq.desc())
        .limit(limit)
    )
    return list(rows)[::-1]


async def thread(
    tx: Tx, conversation_id: UUID, *, after: int = 0, before: int | None = None, limit: int = PAGE
) -> list[Message]:
    """What the team sees, notes too, by `position`, oldest first: after a position, or the page before one.

    Without either it is the beginning; `before=` one more than `last_position` is the newest page.
    """
    here = (Message.workspace_id == tx.workspace_id, Message.conversation_id == conversation_id)
    if before is not None:
        newest = select(Message).where(*here, Message.position < before).order_by(Message.position.desc()).limit(limit)
        return list(await tx.scalars(newest))[::-1]
    rows = await tx.scalars(
        select(Message).where(*here, Message.position > after).order_by(Message.position).limit(limit)
    )
    return list(rows)


async def unread_by_shopper(tx: Tx, conversation_id: UUID, read_seq: int) -> int:
    """How many answers the shopper has not read, at most 100."""
    newer = (
        select(Message.seq)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.seq > read_seq,
            Message.author != SHOPPER,
        )
        .limit(100)
        .subquery()
    )
    return int(await tx.scalar(select(func.count()).select_from(newer)))


def as_json(message: Message) -> dict[str, Any]:
    """A message as widget and panel get it; `attachments.with_links` adds the links at the edge."""
    return _json(
        message.id,
        message.seq,
        message.client_id,
        message.author,
        message.author_name,
        message.text,
        message.data,
        message.created_at,
        message.edited_at,
        message.deleted_at,
    )


def _json(
    id: UUID,
    seq: int | None,
    client_id: UUID,
    author: str,
    author_name: str,
    body: str,
    data: Mapping[str, Any],
    at: datetime,
    edited_at: datetime | None = None,
    deleted_at: datetime | None = None,
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": str(id),
        "seq": seq,
        "client_id": str(client_id),
        "author": author,
        "text": body,
        "attachments": data.get("attachments", []),
        "at": _iso(at),
    }
    if author_name:
        shown["author_name"] = author_name
    if deleted_at is not None:
        shown["deleted_at"] = _iso(deleted_at)
    elif edited_at is not None:
        shown["edited_at"] = _iso(edited_at)
    shown |= {key: data[key] for key in ("replies", "link") if key in data}
    if "cards" in data:
        # A picture's own address stays here: whoever looks gets the copy that we fetched.
        shown["cards"] = [{key: card[key] for key in card if key != "image_url"} for card in data["cards"]]
    if signs := data.get("signs"):
        # Who of the team it was stays in the team.
        shown["signs"] = [{"sign": sign, "own": SHOPPER in who, "count": len(who)} for sign, who in signs.items()]
    return shown


def preview_of(body: str, data: Mapping[str, Any]) -> str:
    """The beginning of a message for a list: its words, else the name of what it carries."""
    named = [file["name"] for file in data.get("attachments", ())] + [card["title"] for card in data.get("cards", ())]
    return " ".join(body.split())[:_PREVIEW] or (named[0] if named else "")


def in_a_letter(words: Translator, message: Message, *, files: bool = True, proven: bool = False) -> str:
    """All that a message says, where there are only words; `files`: those that are not carried along are named.

    An order's address opens it for whoever has it: only a reader whose address is `proven` to be theirs gets it.
    """
    data = message.data
    cards = [
        " ".join(filter(None, (card["title"], card.get("url") if proven or card["kind"] != "order" else "")))
        for card in data.get("cards", ())
    ]
    answers = [f"– {answer['text']}" for answer in data.get("replies", ())]
    named = data.get("attachments", ()) if files else ()
    left = [words.gettext("[File in the chat: %(name)s]", name=file["name"]) for file in named]
    return "\n".join(filter(None, (message.text, *cards, *answers, *left)))


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def clean(body: str, files: Collection[Any] = ()) -> str:
    """What a person typed, without what could harm where it is shown.

    Raises AhlanError when nothing is left, or too much.
    """
    if len(body) > 16 * MAX_TEXT:
        # Far beyond: not worth a look at each of its signs.
        raise _too_long()
    body = harmless(_CONTROLS.sub("", body.replace("\r\n", "\n"))).strip()
    if not body and not files:
        raise AhlanError(_("There is nothing in this message."), code="message_empty")
    if len(body) > MAX_TEXT:
        raise _too_long()
    return body


def _too_long() -> AhlanError:
    return AhlanError(
        _("This message is longer than 4000 characters."), _("Send it in two parts."), code="message_too_long"
    )


async def _locked(tx: Tx, conversation: Conversation) -> Head:
    head = await threads.lock_living(tx, conversation.id)
    if head is None:
        raise NotFound(_("This conversation is no longer there."))
    return head


# Text rather than expressions: the one statement that every message pays for is built once.
_INSERT = """
WITH inserted AS (
    INSERT INTO messages (workspace_id, id, conversation_id, store_id, position, client_id, author, agent_id,
                          author_name, kind, text, data, seq, created_at)
    -- Not now(): the transaction may have waited for the lock, and times must not run against numbers.
    VALUES (:workspace, :id, :conversation, :store, :position, :client_id, :author, :agent, :name,
            :kind, :body, :data, {seq}, clock_timestamp())
    ON CONFLICT (workspace_id, conversation_id, client_id) DO NOTHING
    RETURNING workspace_id, conversation_id, position, seq, author, agent_id, created_at
)
UPDATE conversations AS c SET last_position = i.position{changes}
FROM inserted AS i
WHERE c.workspace_id = i.workspace_id AND c.id = i.conversation_id
RETURNING i.created_at
"""
_SHOWN = """, last_seq = i.seq, last_message_at = i.created_at, active_at = i.created_at, preview = :preview,
    preview_author = i.author"""
# What was marked as spam is kept and counted, but wakes nobody.
_SEEN = f"""{_SHOWN}, status = CASE c.status WHEN 'spam' THEN 'spam' ELSE 'open' END, snoozed_until = NULL,
    resolved_at = NULL"""
_BY_SHOPPER = f"""{_SEEN}, shopper_read_seq = i.seq,
    waiting_since = CASE c.status WHEN 'spam' THEN NULL ELSE coalesce(c.waiting_since, i.created_at) END"""
_BY_AGENT = f"""{_SEEN}, waiting_since = NULL, first_replied_at = coalesce(c.first_replied_at, i.created_at),
    agent_read_seq = i.seq, assignee_id = coalesce(c.assignee_id, i.agent_id)"""


def _statement(seq: str, changes: str) -> TextClause:
    return sql(_INSERT.format(seq=seq, changes=changes)).bindparams(bindparam("data", type_=JSONB))


_APPEND = {
    NOTE: _statement("NULL", ""),
    SHOPPER: _statement(":seq", _BY_SHOPPER),
    AGENT: _statement(":seq", _BY_AGENT),
    # What a machine says changes nobody's turn.
    BOT: _statement(":seq", _SHOWN),
}


async def _append(
    tx: Tx,
    head: Head,
    author: str,
    client_id: UUID,
    body: str,
    files: Sequence[UUID],
    *,
    uploader: str,
    actor: str,
    event: str,
    kind: str = MESSAGE,
    agent: Agent | None = None,
    most: int = attachments.MAX_PER_MESSAGE,
    mentioned: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
    name: str = "",
) -> dict[str, Any] | None:
    """Insert or nothing; None when a message with this `client_id` was there. The caller holds the conversation."""
    carried: list[dict[str, Any]] = []
    if files:
        if await is_there(tx, head.id, client_id):
            return None
        carried = await attachments.find(tx, files, uploader=uploader, most=most)
    message_id = new_id()
    seq = head.last_seq + 1 if kind == MESSAGE else None
    name = agent.name if agent else name
    data = {**({"attachments": carried} if carried else {}), **(more or {})}
    values = {
        "workspace": tx.workspace_id,
        "id": message_id,
        "conversation": head.id,
        "store": head.store_id,
        "position": head.last_position + 1,
        "client_id": client_id,
        "author": author,
        "agent": agent.id if agent else None,
        "name": name,
        "kind": kind,
        "body": body,
        "data": data | ({"mentions": [*mentioned]} if mentioned else {}),
    }
    if kind == MESSAGE:
        values |= {"seq": seq, "preview": preview_of(body, data)}
    result = await tx.execute(_APPEND[NOTE if kind == NOTE else author], values)
    at = result.scalar_one_or_none()
    if at is None:
        return None
    if carried:
        await attachments.give(tx, files, conversation_id=head.id, message_id=message_id)
    await tx.record(
        event,
        subject_id=head.id,
        store_id=head.store_id,
        customer_id=head.customer_id,
        actor=actor,
        data={"message_id": str(message_id), "seq": seq, **({"was": head.status} if author == SHOPPER else {})},
    )
    if kind == MESSAGE and ("://" in body or data.get("cards")):
        await tx.enqueue("preview_links", message_id=message_id)
    if kind == MESSAGE and author != BOT and head.status not in (OPEN, Status.SPAM):
        await threads.reopened(tx, head, actor=actor)
    if kind == MESSAGE and author != BOT:
        await clocks.keep(tx, head.id)
    message = _json(message_id, seq, client_id, author, name, body, data, at)
    _tell(tx, head.id, message, kind)
    return message


def _tell(tx: Tx, conversation_id: UUID, message: dict[str, Any], kind: str) -> None:
    topic = f"conversation:{conversation_id}" if kind == MESSAGE else f"panel:conversation:{conversation_id}"
    tx.publish(topic, {"type": kind, "message": message})
    if kind == MESSAGE:
        tx.publish("queue", {"conversation_id": str(conversation_id)})


async def _resent(tx: Tx, conversation_id: UUID, client_id: UUID) -> dict[str, Any]:
    message = await _by_client_id(tx, conversation_id, client_id)
    assert message is not None
    return as_json(message)


async def _by_client_id(tx: Tx, conversation_id: UUID, client_id: UUID) -> Message | None:
    found: Message | None = await tx.scalar(
        select(Message).where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.client_id == client_id,
        )
    )
    return found
