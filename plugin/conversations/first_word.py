"""An agent writes first, to somebody who looks around in the shop: once, and only while they are there."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from plugin.conversations import conversations as threads
from plugin.conversations import messages, visits
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.conversations.messages import AGENT, Message
from plugin.conversations.visits import Visit
from plugin.crm import visitors
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate
from plugin.stores import Store
from plugin.team import Agent

MARK = "first_word"
SHOWN = 140
"""Characters of a first word that stand beside the launcher."""

_PROVEN_FOR = timedelta(minutes=30)


def gone() -> NotFound:
    """Whom an agent wanted to write to is no longer there."""
    return NotFound(
        _("They have just left, so nothing was sent."), _("Your words are still here."), code="visitor_left"
    )


async def write(
    tx: Tx, store: Store, visit: Visit | None, by: Agent, client_id: UUID, body: str, *, seen: int
) -> tuple[UUID, bool]:
    """Write to the browser of `visit`: (the conversation, whether it is new). A resend changes nothing.

    `seen` is the number of the last message between them that the agent saw, 0 for none. Raises NotFound when they
    left (None), Conflict when something was written meanwhile, AhlanError where first words are off or not wanted.
    """
    if visit is None:
        raise gone()
    if not visits.rules(store).first_word:
        raise AhlanError(_("In this store nobody writes first."), _("An owner can allow it under Settings."))
    if visit.hush:
        raise AhlanError(_("They do not want to be written to."), _("They can still open the chat themselves."))
    visitor = await visitors.meet(tx, store.id, bytes.fromhex(visit.key))
    remember(visitor, visit)
    shopper = Shopper(visitor.id, store.id, visitor.customer_id, locale=visit.language[:16])
    head = await threads.begin_by_us(tx, shopper, by)
    if not await messages.is_there(tx, head.id, client_id):
        if head.last_seq != seen:
            raise Conflict(
                _("Something was just written between you and them."),
                _("Look at the conversation, then go on there."),
                code="written_meanwhile",
            )
        conversation = await tx.get(Conversation, head.id)
        assert conversation is not None
        await messages.reply(tx, conversation, by, client_id, body, more={MARK: True})
        await threads.turn(tx, conversation, Status.PENDING, by=by)
        tx.publish(visits.knock(visit.key), {"type": "knock"})
    return head.id, head.last_seq == 0


def remember(visitor: Visitor, visit: Visit) -> None:
    """Keep where they were when they were written to: what stands beside the conversation."""
    visitor.page = page_of(visit)
    visitor.cart_token = visit.cart or visitor.cart_token or ""
    visitor.locale = visitor.locale or visit.language[:16]


def page_of(around: visits.Around) -> dict[str, Any]:
    """What is kept beside a conversation of where its shopper was; nothing that is empty."""
    kept = {name: getattr(around, name) for name in ("url", "title", "referrer", "country", "country_by", "device")}
    return {name: value for name, value in (kept | {"language": around.language}).items() if value}


async def waiting(tx: Tx, visitor: Visitor) -> tuple[int, str]:
    """What a browser has not read: how many answers, and the first word among them as it stands beside the launcher.

    To somebody whom the shop once vouched for, words are shown only for as long as a session without that proof lives:
    the browser may be somebody else's by now.
    """
    head = await threads.current(tx, Shopper(visitor.id, visitor.store_id))
    if head is None:
        return 0, ""
    unread = await messages.unread_by_shopper(tx, head.id, head.shopper_read_seq)
    if not unread or not _still_theirs(visitor):
        return unread, ""
    newest = await tx.scalar(
        select(Message)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == head.id,
            Message.seq > head.shopper_read_seq,
            Message.author == AGENT,
            Message.data.has_key(MARK),
            Message.deleted_at.is_(None),
        )
        .order_by(Message.seq.desc())
        .limit(1)
    )
    return unread, "" if newest is None else shown(newest.author_name, newest.text)


def shown(name: str, text: str) -> str:
    """A first word beside the launcher: who says it, and the beginning of it."""
    words = " ".join(text.split())
    short = words if len(words) <= SHOWN else words[: SHOWN - 1].rstrip() + "…"
    return f"{isolate(name)}: {short}" if name else short


def _still_theirs(visitor: Visitor) -> bool:
    if visitor.customer_id is None:
        return True
    return visitor.identified_at is not None and datetime.now(UTC) - visitor.identified_at < _PROVEN_FOR


@dataclass(frozen=True, slots=True)
class Talk:
    """What there is between a visitor and us. `last_seq` 0: nothing was ever written."""

    visitor: Visitor
    conversation_id: UUID | None = None
    status: Status | None = None
    last_seq: int = 0


async def talks(tx: Tx, keys: Collection[str]) -> dict[str, Talk]:
    """Who of these browsers ever talked to us, by key."""
    rows = await tx.scalars(
        select(Visitor).where(
            Visitor.workspace_id == tx.workspace_id, Visitor.secret_hash.in_([bytes.fromhex(key) for key in keys])
        )
    )
    found = {visitor.id: visitor for visitor in rows}
    # As `conversations.current` chooses, for all of them at once.
    heads = await tx.execute(
        select(Conversation.visitor_id, Conversation.id, Conversation.status, Conversation.last_seq)
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.visitor_id.in_(found),
            Conversation.channel == threads.WIDGET,
            Conversation.merged_into.is_(None),
        )
        .ext(distinct_on(Conversation.visitor_id))
        .order_by(
            Conversation.visitor_id,
            (Conversation.status != Status.RESOLVED).desc(),
            Conversation.last_message_at.desc(),
            Conversation.id.desc(),
        )
    )
    current = {row.visitor_id: (row.id, Status(row.status), row.last_seq) for row in heads}
    return {one.secret_hash.hex(): Talk(one, *current.get(one.id, ())) for one in found.values()}
