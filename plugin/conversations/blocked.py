"""Who is not to be heard: a browser, an address, or all addresses of a domain.

What comes from them is kept as spam: nobody is woken, nothing is lost, and it can be taken back. The chat tells whoever
is blocked, politely, that the shop takes no messages there; a letter is not answered at all.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Text, UniqueConstraint, cast, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped

from plugin.conversations import conversations as threads
from plugin.conversations.conversations import EMAIL, Conversation, Status
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import kept
from plugin.kernel.text import normalise_email
from plugin.team import Agent

MOST = 2_000

# Blocking one of them would silence half of all customers.
_EVERYBODYS = frozenset({
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com",
    "icloud.com", "me.com", "mac.com", "aol.com", "gmx.com", "gmx.de", "proton.me", "protonmail.com", "walla.co.il",
    "walla.com", "012.net.il", "netvision.net.il", "bezeqint.net", "mail.ru", "yandex.ru", "yandex.com", "zoho.com",
})  # fmt: skip


class Kind(StrEnum):
    """What is blocked."""

    VISITOR = "visitor"
    EMAIL = "email"
    DOMAIN = "domain"


class BlockedSender(TenantRow, Base):
    """A sender whose words become spam. `value` is a visitor's id, an address, or a domain, by `kind`."""

    __tablename__ = "blocked_senders"
    __table_args__ = (
        UniqueConstraint("workspace_id", "kind", "value"),
        tenant_key("agent_id", "agents", ondelete="RESTRICT"),
        {
            "info": {
                "moves": "stays",
                **kept("whom a shop does not want to hear from; an erased person's address goes", blank=("value",),
                       plain=("kind",)),
            }
        },
    )  # fmt: skip

    kind: Mapped[str]
    value: Mapped[str]
    agent_id: Mapped[UUID]


async def everybody(tx: Tx) -> Sequence[BlockedSender]:
    """Who is blocked, the latest first."""
    rows = await tx.scalars(
        select(BlockedSender)
        .where(BlockedSender.workspace_id == tx.workspace_id, BlockedSender.value != "")
        .order_by(BlockedSender.created_at.desc(), BlockedSender.id.desc())
        .limit(MOST)
    )
    return list(rows)


async def is_blocked(tx: Tx, *, visitor_id: UUID | None = None, email: str = "") -> bool:
    """Whether this browser, this address or its domain is blocked."""
    ways = []
    if visitor_id is not None:
        ways.append((BlockedSender.kind == Kind.VISITOR) & (BlockedSender.value == str(visitor_id)))
    if email:
        ways.append((BlockedSender.kind == Kind.EMAIL) & (BlockedSender.value == email))
        ways.append((BlockedSender.kind == Kind.DOMAIN) & BlockedSender.value.in_(_domains(email)))
    if not ways:
        return False
    found = await tx.scalar(
        select(BlockedSender.id).where(BlockedSender.workspace_id == tx.workspace_id, or_(*ways)).limit(1)
    )
    return found is not None


async def is_person_blocked(tx: Tx, customer_ids: Collection[UUID], email: str) -> bool:
    """Whether this address is blocked, or a browser that proved to be one of these rows of a person."""
    if email and await is_blocked(tx, email=email.casefold()):
        return True
    if not customer_ids:
        return False
    found = await tx.scalar(
        select(BlockedSender.id)
        .join(Visitor, cast(Visitor.id, Text) == BlockedSender.value)
        .where(
            BlockedSender.workspace_id == tx.workspace_id,
            BlockedSender.kind == Kind.VISITOR,
            Visitor.workspace_id == tx.workspace_id,
            Visitor.customer_id.in_(customer_ids),
        )
        .limit(1)
    )
    return found is not None


def _domains(email: str) -> list[str]:
    """The domain of an address and those above it: mail.junk.example is part of junk.example."""
    parts = email.rpartition("@")[2].split(".")
    return [".".join(parts[at:]) for at in range(len(parts) - 1)]


def choices(talk: Conversation) -> list[tuple[Kind, str]]:
    """What could be blocked because of a conversation. Pure."""
    found: list[tuple[Kind, str]] = []
    if talk.visitor_id is not None:
        found.append((Kind.VISITOR, str(talk.visitor_id)))
    if talk.channel == EMAIL and talk.reply_email:
        found.append((Kind.EMAIL, talk.reply_email))
        domain = talk.reply_email.rpartition("@")[2]
        if domain not in _EVERYBODYS:
            found.append((Kind.DOMAIN, domain))
    return found


async def block(tx: Tx, talk: Conversation, kind: Kind, *, by: Agent) -> bool:
    """Block who writes in this conversation, and put it, and their others that are open, into the spam.

    Returns False when they were blocked already. Raises NotFound where a conversation gives nothing of that kind.
    """
    value = dict(choices(talk)).get(kind)
    if value is None:
        raise NotFound(_("There is nothing to block in this conversation."))
    news = await _add(tx, kind, value, by=by, talk=talk)
    for id in await _theirs(tx, kind, value, talk):
        one = await tx.get(Conversation, id)
        if one is not None:
            await threads.turn(tx, one, Status.SPAM, by=by)
    tx.publish(f"conversation:{talk.id}", {"type": "closed"})
    return news


async def add(tx: Tx, said: str, *, by: Agent) -> BlockedSender:
    """Block an address or a domain that was typed. Raises AhlanError for what is neither, or is everybody's."""
    said = said.strip().lower().removeprefix("@")
    email = normalise_email(said)
    if email is not None:
        kind, value = Kind.EMAIL, email
    else:
        checked = normalise_email(f"somebody@{said}") if said and "@" not in said else None
        if checked is None:
            raise AhlanError(_("This is neither an e-mail address nor a domain."), code="blocked_unfit", status=422)
        kind, value = Kind.DOMAIN, checked.rpartition("@")[2]
        if value in _EVERYBODYS:
            raise AhlanError(
                _("Half of all customers write from there."),
                _("Block the one address."),
                code="blocked_all",
                status=422,
            )
    await _add(tx, kind, value, by=by, talk=None)
    row = await tx.scalar(
        select(BlockedSender).where(
            BlockedSender.workspace_id == tx.workspace_id, BlockedSender.kind == kind, BlockedSender.value == value
        )
    )
    assert isinstance(row, BlockedSender)
    return row


async def _add(tx: Tx, kind: Kind, value: str, *, by: Agent, talk: Conversation | None) -> bool:
    held = await tx.scalars(
        select(BlockedSender.id).where(BlockedSender.workspace_id == tx.workspace_id).limit(MOST + 1)
    )
    if len(held.all()) >= MOST:
        raise AhlanError(_("2000 senders are blocked already."), _("Take some out first."), code="blocked_full")
    id = new_id()
    made = await tx.scalar(
        insert(BlockedSender)
        .values(workspace_id=tx.workspace_id, id=id, kind=kind, value=value, agent_id=by.id)
        .on_conflict_do_nothing()
        .returning(BlockedSender.id)
    )
    if made is None:
        return False
    await tx.record(
        "sender.blocked",
        subject_id=talk.id if talk is not None else id,
        store_id=talk.store_id if talk is not None else None,
        customer_id=talk.customer_id if talk is not None else None,
        actor=by.actor,
        data={"kind": kind.value, **({"value": value} if talk is not None and kind is not Kind.VISITOR else {})},
    )
    return True


async def unblock(tx: Tx, id: UUID, *, by: Agent) -> str:
    """Hear them again; what came meanwhile stays in the spam. Returns what was blocked. Raises NotFound."""
    row = (
        await tx.execute(
            delete(BlockedSender)
            .where(BlockedSender.workspace_id == tx.workspace_id, BlockedSender.id == id)
            .returning(BlockedSender.kind, BlockedSender.value)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(_("They are not blocked."))
    await tx.record("sender.unblocked", subject_id=id, actor=by.actor, data={"kind": row.kind})
    return str(row.value)


async def _theirs(tx: Tx, kind: Kind, value: str, talk: Conversation) -> list[UUID]:
    """Their conversations that are not over, this one in any case."""
    if kind is Kind.VISITOR:
        which = Conversation.visitor_id == UUID(value)
    elif kind is Kind.EMAIL:
        which = (Conversation.channel == EMAIL) & (Conversation.reply_email == value)
    else:
        which = (Conversation.channel == EMAIL) & Conversation.reply_email.endswith(f"@{value}", autoescape=True)
    rows = await tx.scalars(
        select(Conversation.id)
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.merged_into.is_(None),
            Conversation.status.in_([Status.OPEN, Status.PENDING, Status.SNOOZED]),
            which,
        )
        .order_by(Conversation.last_message_at.desc())
        .limit(200)
    )
    return sorted({talk.id, *rows})


async def hush(tx: Tx, conversation_id: UUID) -> None:
    """A blocked sender writes into it: it is spam before their words are there, so that they wake nobody."""
    talk = await tx.get(Conversation, conversation_id, lock=True)
    if talk is not None and talk.status != Status.SPAM and talk.merged_into is None:
        await threads.turn(tx, talk, Status.SPAM, by=None)
