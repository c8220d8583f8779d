"""Tags: words that a team puts on conversations to find and count them again."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Index, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import clocks
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import ByRule, Conversation
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import folded as folded
from plugin.team import Agent

LONGEST = 40
MOST = 20
"""Tags on one conversation, at most."""

COMMON = 50


class Tag(Tenant, Base):
    """A word that the team uses. `name` is as it was first written, `key` folded: Gift and gift are one tag."""

    __tablename__ = "tags"
    __table_args__ = {"info": {"moves": "stays", **nobody("words that a team sorts by")}}  # noqa: RUF012 - read once, by SQLAlchemy

    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class ConversationTag(Tenant, Base):
    """A conversation has a tag. The word stands here too: a conversation that moves takes it along."""

    __tablename__ = "conversation_tags"
    __table_args__ = (
        tenant_key("conversation_id", "conversations"),
        Index(None, "workspace_id", "key", "conversation_id"),
    )

    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


async def put(tx: Tx, conversation: Conversation, name: str, *, by: Agent | ByRule | None) -> bool:
    """Put a tag on; False when it was on already. Raises AhlanError for no or too long a name, or too many tags."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST or '"' in name:
        raise AhlanError(
            _("A tag is a word or a few, at most 40 characters, without quotation marks."), code="tag_name"
        )
    on = await tx.scalar(
        select(func.count())
        .select_from(ConversationTag)
        .where(ConversationTag.workspace_id == tx.workspace_id, ConversationTag.conversation_id == conversation.id)
    )
    if on >= MOST:
        raise AhlanError(_("This conversation has 20 tags already."), _("Take one off first."), code="tags_full")
    known = await _known(tx, name)
    fresh = await tx.scalar(
        insert(ConversationTag)
        .values(workspace_id=tx.workspace_id, conversation_id=conversation.id, key=folded(name), name=known)
        .on_conflict_do_nothing()
        .returning(ConversationTag.name)
    )
    if fresh is None:
        return False
    await _record(tx, "conversation.tagged", conversation, known, by)
    return True


async def take_off(tx: Tx, conversation: Conversation, name: str, *, by: Agent | ByRule | None) -> bool:
    """Take a tag off; False when it was not on."""
    gone = await tx.scalar(
        delete(ConversationTag)
        .where(
            ConversationTag.workspace_id == tx.workspace_id,
            ConversationTag.conversation_id == conversation.id,
            ConversationTag.key == folded(name),
        )
        .returning(ConversationTag.name)
    )
    if gone is None:
        return False
    await _record(tx, "conversation.untagged", conversation, gone, by)
    return True


async def of_conversations(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, Sequence[str]]:
    """The tags of each conversation that has any, by name."""
    rows = await tx.execute(
        select(ConversationTag.conversation_id, ConversationTag.name)
        .where(ConversationTag.workspace_id == tx.workspace_id, ConversationTag.conversation_id.in_(ids))
        .order_by(ConversationTag.key)
    )
    found: dict[UUID, list[str]] = {}
    for row in rows:
        found.setdefault(row.conversation_id, []).append(row.name)
    return found


async def all_tags(tx: Tx) -> Sequence[str]:
    """Names to offer where one is typed: at most 50, by name."""
    return list(
        await tx.scalars(select(Tag.name).where(Tag.workspace_id == tx.workspace_id).order_by(Tag.key).limit(COMMON))
    )


async def _known(tx: Tx, name: str) -> str:
    """The tag as it was first written."""
    key = folded(name)
    await tx.execute(insert(Tag).values(workspace_id=tx.workspace_id, key=key, name=name).on_conflict_do_nothing())
    found: str = await tx.scalar(select(Tag.name).where(Tag.workspace_id == tx.workspace_id, Tag.key == key))
    return found


async def _record(tx: Tx, kind: str, conversation: Conversation, name: str, by: Agent | ByRule | None) -> None:
    await tx.record(
        kind,
        subject_id=conversation.id,
        store_id=conversation.store_id,
        customer_id=conversation.customer_id,
        actor=by.actor if by else "system",
        data={"tag": name},
    )
    tx.publish(f"panel:conversation:{conversation.id}", {"type": "assigned"})
    tx.publish("queue", {"conversation_id": str(conversation.id)})
    # A skill may have come or gone, and with it the team whose hours count.
    await threads.lock(tx, conversation.id)
    await clocks.keep(tx, conversation.id)
