"""Tags: words that a team puts on conversations to find and count them again."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations.conversations import Conversation
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.team import Agent

LONGEST = 40
MOST = 20
"""Tags on one conversation, at most."""

COMMON = 50


class Tag(TenantRow, Base):
    """A tag of the workspace. `name` is as it was first written, `key` folded: Gift and gift are one tag."""

    __tablename__ = "tags"
    __table_args__ = (UniqueConstraint("workspace_id", "key"),)

    name: Mapped[str]
    key: Mapped[str]


class ConversationTag(Tenant, Base):
    """A conversation has a tag."""

    __tablename__ = "conversation_tags"
    __table_args__ = (
        tenant_key("conversation_id", "conversations"),
        tenant_key("tag_id", "tags"),
        Index(None, "workspace_id", "tag_id", "conversation_id"),
    )

    # The key's order is the order of the columns: what a conversation has is read most.
    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(primary_key=True)


def folded(name: str) -> str:
    """What makes two spellings one tag: case and blanks do not count."""
    return " ".join(name.split()).casefold()


async def put(tx: Tx, conversation: Conversation, name: str, *, by: Agent | None) -> Tag | None:
    """Put a tag on, made when it is new; None when it was on already. Raises AhlanError for no or too long a name."""
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
    tag = await _tag(tx, name)
    fresh = await tx.scalar(
        insert(ConversationTag)
        .values(workspace_id=tx.workspace_id, conversation_id=conversation.id, tag_id=tag.id)
        .on_conflict_do_nothing()
        .returning(ConversationTag.tag_id)
    )
    if fresh is None:
        return None
    await _record(tx, "conversation.tagged", conversation, tag, by)
    return tag


async def take_off(tx: Tx, conversation: Conversation, name: str, *, by: Agent | None) -> Tag | None:
    """Take a tag off; None when it was not on."""
    tag = await tx.scalar(select(Tag).where(Tag.workspace_id == tx.workspace_id, Tag.key == folded(name)))
    if tag is None:
        return None
    gone = await tx.scalar(
        delete(ConversationTag)
        .where(
            ConversationTag.workspace_id == tx.workspace_id,
            ConversationTag.conversation_id == conversation.id,
            ConversationTag.tag_id == tag.id,
        )
        .returning(ConversationTag.tag_id)
    )
    if gone is None:
        return None
    await _record(tx, "conversation.untagged", conversation, tag, by)
    found: Tag = tag
    return found


async def of_conversations(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, Sequence[str]]:
    """The tags of each conversation that has any, by name."""
    rows = await tx.execute(
        select(ConversationTag.conversation_id, Tag.name)
        .join(Tag, (Tag.workspace_id == ConversationTag.workspace_id) & (Tag.id == ConversationTag.tag_id))
        .where(ConversationTag.workspace_id == tx.workspace_id, ConversationTag.conversation_id.in_(ids))
        .order_by(Tag.key)
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


async def _tag(tx: Tx, name: str) -> Tag:
    key = folded(name)
    await tx.execute(
        insert(Tag).values(workspace_id=tx.workspace_id, id=new_id(), name=name, key=key).on_conflict_do_nothing()
    )
    tag: Any = await tx.scalar(select(Tag).where(Tag.workspace_id == tx.workspace_id, Tag.key == key))
    found: Tag = tag
    return found


async def _record(tx: Tx, kind: str, conversation: Conversation, tag: Tag, by: Agent | None) -> None:
    await tx.record(
        kind,
        subject_id=conversation.id,
        store_id=conversation.store_id,
        customer_id=conversation.customer_id,
        actor=f"agent:{by.id}" if by else "system",
        data={"tag": tag.name},
    )
    tx.publish(f"panel:conversation:{conversation.id}", {"type": "assigned"})
    tx.publish("queue", {"conversation_id": str(conversation.id)})
