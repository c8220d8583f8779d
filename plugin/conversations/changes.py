"""What becomes of a message after it was said: edited, taken back, answered with a sign.

Earlier words are kept for the team, in `message_versions`, and go with the conversation. A change gives its message a
`changed_at` that is later than that of every change before in its conversation, so that whoever remembers the latest
one they saw gets the rest: the hint is `changed`, the table is the truth.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Index, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import conversations as threads
from plugin.conversations import mentions, messages
from plugin.conversations.conversations import TABLE, Head, Shopper
from plugin.conversations.messages import MESSAGE, NOTE, SHOPPER, Message
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.team import Agent, Permission

SIGNS: Final = ("👍", "❤️", "😂", "😮", "😢", "🙏")
"""What a message can be answered with by one touch."""

LIMIT = 200


class MessageVersion(TenantRow, Base):
    """How a message was before it was edited or taken back; `created_at` is when that happened."""

    __tablename__ = "message_versions"
    __table_args__ = (
        Index(None, "workspace_id", "message_id", "id"),
        Index(None, "workspace_id", "conversation_id"),
        tenant_key("conversation_id", "conversations"),
        tenant_key("message_id", "messages"),
        tenant_key("agent_id", "agents", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID]
    message_id: Mapped[UUID]
    agent_id: Mapped[UUID | None]
    text: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))


async def find(tx: Tx, conversation_id: UUID, message_id: UUID) -> Message:
    """A message of this conversation. Raises NotFound."""
    message = await tx.get(Message, message_id)
    if message is None or message.conversation_id != conversation_id:
        raise _gone()
    return message


async def edit(tx: Tx, message: Message, by: Agent, body: str) -> bool:
    """Change one's own words. Returns whether they are other words.

    Raises Forbidden for somebody else's, and for whoever may no longer answer.
    """
    head = await _held(tx, message)
    if message.agent_id != by.id:
        raise Forbidden(_("Only its author can change a message."))
    _may(by, message)
    if message.deleted_at is not None:
        raise _gone()
    if "forward" in message.data:
        raise Forbidden(_("This went out as an e-mail: what was sent stays as it was."))
    body = messages.clean(body, [*message.data.get("attachments", ()), *message.data.get("cards", ())])
    if body == message.text:
        return False
    _keep(tx, message, by)
    message.text = body
    message.edited_at = await _stamp(tx, message)
    message.data = {key: value for key, value in message.data.items() if key not in ("link", "mentions", "original")}
    if names := await _calls(tx, message):
        message.data = {**message.data, "mentions": names}
    await _settle(tx, head, message, by.actor, event="message.edited")
    if message.kind == MESSAGE and "://" in body:
        await tx.enqueue("preview_links", message_id=message.id)
    return True


async def take_back(tx: Tx, message: Message, by: Agent) -> bool:
    """Delete a message: its words and files are no longer shown to anybody but, as history, the team.

    Its author may, and whoever manages the team. Raises Forbidden. Returns False when it was deleted already.
    """
    head = await _held(tx, message)
    _may(by, message)
    if message.agent_id != by.id and not (by.may(Permission.MANAGE_TEAM) and message.author != SHOPPER):
        raise Forbidden(_("Only its author, or whoever manages the team, can delete a message."))
    if message.deleted_at is not None:
        return False
    _keep(tx, message, by)
    message.text, message.data = "", {}
    message.deleted_at = await _stamp(tx, message)
    await _calls(tx, message)
    await _settle(tx, head, message, by.actor, event="message.deleted")
    return True


async def bring_back(tx: Tx, message: Message, by: Agent) -> bool:
    """Undo one's own deletion. Raises Forbidden for somebody else's. Returns False when it was not deleted."""
    head = await _held(tx, message)
    _may(by, message)
    last = (await versions(tx, message.id))[-1:]
    if message.deleted_at is None or not last:
        return False
    if last[0].agent_id != by.id:
        raise Forbidden(_("Only who deleted a message can bring it back."))
    message.text, message.data, message.deleted_at = last[0].text, last[0].data, None
    await tx.session.delete(last[0])
    await _stamp(tx, message)
    await _calls(tx, message)
    await _settle(tx, head, message, by.actor, event="message.restored")
    return True


async def react(tx: Tx, message: Message, sign: str, *, by: Agent | Shopper, on: bool) -> bool:
    """Put one of SIGNS on a message, or take it off; nobody has more than one on it. Returns whether that was news.

    Raises NotFound for what the other side cannot see, AhlanError for another sign.
    """
    if sign not in SIGNS:
        raise AhlanError(_("This emoji cannot be used here."), _("Choose one of those that are offered."), code="sign")
    head = await _held(tx, message)
    if message.kind != MESSAGE or message.deleted_at is not None:
        raise _gone()
    if isinstance(by, Agent):
        _may(by, message)
    who = by.actor if isinstance(by, Agent) else SHOPPER
    before = {key: list(names) for key, names in message.data.get("signs", {}).items()}
    signs = {key: kept for key, names in before.items() if (kept := [name for name in names if name != who])}
    if on:
        signs[sign] = [*signs.get(sign, []), who]
    if signs == before:
        return False
    message.data = {**{key: value for key, value in message.data.items() if key != "signs"},
                    **({"signs": signs} if signs else {})}  # fmt: skip
    await _stamp(tx, message)
    await tx.flush()
    tell(tx, head.id, message.kind)
    return True


async def amend(tx: Tx, message_id: UUID, **more: Any) -> None:
    """Add to what a message carries (a link's preview, a card's picture); nothing when it was deleted meanwhile."""
    message = await tx.get(Message, message_id)
    if message is None:
        return
    head = await _held(tx, message)
    if message.deleted_at is None:
        message.data = {**message.data, **more}
        await _stamp(tx, message)
        await tx.flush()
        tell(tx, head.id, message.kind)


async def versions(tx: Tx, message_id: UUID) -> Sequence[MessageVersion]:
    """How the message was before, oldest first."""
    rows = await tx.scalars(
        select(MessageVersion)
        .where(MessageVersion.workspace_id == tx.workspace_id, MessageVersion.message_id == message_id)
        .order_by(MessageVersion.id)
    )
    return list(rows)


async def mark(tx: Tx, conversation_id: UUID, *, team: bool = False) -> str:
    """A word for "every change until now", to be asked with later. `team`: of notes too."""
    latest = await tx.scalar(
        select(func.max(Message.changed_at)).where(*_of(tx, conversation_id, team), Message.changed_at.is_not(None))
    )
    return _word(latest)


async def since(tx: Tx, conversation_id: UUID, mark: str, *, team: bool = False) -> tuple[list[Message], str]:
    """What changed after a mark, the earliest first, and the new mark. A mark that is none is the beginning."""
    after = _moment(mark)
    rows = await tx.scalars(
        select(Message)
        .where(*_of(tx, conversation_id, team), Message.changed_at > after)
        .order_by(Message.changed_at)
        .limit(LIMIT)
    )
    found = list(rows)
    return found, _word(found[-1].changed_at) if found else mark


def tell(tx: Tx, conversation_id: UUID, kind: str) -> None:
    """Hint that a message of the conversation changed: to everybody, or for a note to the team."""
    topic = f"conversation:{conversation_id}" if kind == MESSAGE else f"panel:conversation:{conversation_id}"
    tx.publish(topic, {"type": "changed"})


def _of(tx: Tx, conversation_id: UUID, team: bool) -> list[Any]:
    here = [Message.workspace_id == tx.workspace_id, Message.conversation_id == conversation_id]
    return here if team else [*here, Message.seq.is_not(None)]


def _word(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _moment(mark: str) -> datetime:
    try:
        return datetime.fromisoformat(mark).replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


async def _held(tx: Tx, message: Message) -> Head:
    head = await threads.lock(tx, message.conversation_id)
    if head is None:
        raise _gone()
    # Whoever held the conversation before us may have changed it.
    await tx.session.refresh(message)
    return head


def _may(by: Agent, message: Message) -> None:
    """Notes are everybody's to write; what the customer reads is for those who may answer, now and not once."""
    if not by.may(Permission.REPLY if message.kind == MESSAGE else Permission.NOTE):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))


async def _calls(tx: Tx, message: Message) -> list[str]:
    """Whom a note calls as it reads now, by name; only they find it among their mentions."""
    if message.kind != NOTE:
        return []
    return await mentions.again(tx, message.conversation_id, message.position, message.text, by=message.agent_id)


def _keep(tx: Tx, message: Message, by: Agent) -> None:
    tx.add(
        MessageVersion(
            store_id=message.store_id, conversation_id=message.conversation_id, message_id=message.id, agent_id=by.id,
            text=message.text, data=message.data,
        )
    )  # fmt: skip


async def _stamp(tx: Tx, message: Message) -> datetime:
    """The caller holds the conversation, so this is later than every change before, also where a clock went back."""
    before = select(func.max(Message.changed_at)).where(
        Message.workspace_id == tx.workspace_id,
        Message.conversation_id == message.conversation_id,
        Message.changed_at.is_not(None),
    )
    now: datetime = await tx.scalar(
        select(func.greatest(func.clock_timestamp(), before.scalar_subquery() + timedelta(microseconds=1)))
    )
    message.changed_at = now
    return now


async def _settle(tx: Tx, head: Head, message: Message, actor: str, *, event: str) -> None:
    await tx.flush()
    if message.seq is not None and message.seq == head.last_seq:
        await tx.execute(
            update(TABLE)
            .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == head.id)
            .values(preview=messages.preview_of(message.text, message.data))
        )
        tx.publish("queue", {"conversation_id": str(head.id)})
    await tx.record(
        event,
        subject_id=head.id,
        store_id=head.store_id,
        customer_id=head.customer_id,
        actor=actor,
        data={"message_id": str(message.id), "kind": message.kind},
    )
    tell(tx, head.id, message.kind)


def _gone() -> NotFound:
    return NotFound(_("This message is no longer there."))
