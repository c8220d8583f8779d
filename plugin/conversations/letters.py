"""Letters: each mail that a conversation went out as or came in as, so that answers find their thread again.

A mail joins a thread by the mark that we put into the address it answers to, which nobody can guess; or by naming a
mail of the thread (References), then only from the address that mail went to or came from. What it says of itself
proves nothing (docs/decisions/mail.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID, uuid5

import structlog
from sqlalchemy import Index, Table, UniqueConstraint, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.channel import Automatic, Inbound
from plugin.conversations import attachments, blocked, mailboxes, mentions, messages
from plugin.conversations import conversations as threads
from plugin.conversations.attachments import Upload
from plugin.conversations.conversations import EMAIL, Conversation
from plugin.conversations.mailboxes import Mailbox
from plugin.crm import customers, identities
from plugin.crm.identities import Proof
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.stores import Store

log = structlog.get_logger(__name__)

MAX_FILES = 20
CHAIN = 20
"""How many earlier mails an answer names."""

BEGIN_AN_HOUR = 20
"""From one sender: more begin no further conversations, they join the latest."""

TAKEN_AN_HOUR = 200
"""From one sender: more are set aside with the reason, as two machines that answer each other would fill any disk."""


BEGUN_AN_HOUR = 500
"""Conversations that letters to one store begin: more, from whomever, are set aside with the reason, to be read later.
A flood of ever-new senders is over by then; a shop that really is written to so often sees on its page that they wait.
"""


class Letter(TenantRow, Base):
    """A mail. `party` is the address of the other side, `external_id` its Message-ID; `token` is the mark of ours.

    `verified`: it answers a mail of ours to this very address, and a relay that we believe saw that the address's own
    domain sent it. `other_sender`: it came into the thread from another address than the one that was written to.
    `message_id` is what it became in the thread; `inline` says which file is which picture of the text. `stopped_at`:
    whoever got it asked for no more of them. `aside`: it is to or from somebody whom the team asks about the
    conversation (`forwarding`), and the shopper never hears of it.
    """

    __tablename__ = "mail_letters"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "incoming", "external_id"),
        Index(None, "workspace_id", "external_id"),
        Index(None, "workspace_id", "token", postgresql_where=text("token <> ''")),
        Index(None, "workspace_id", "message_id"),
        Index(None, "workspace_id", "conversation_id", "created_at"),
        Index(None, "workspace_id", "store_id", "party", "created_at"),
        tenant_key("conversation_id", "conversations"),
    )

    store_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    message_id: Mapped[UUID | None]
    incoming: Mapped[bool]
    external_id: Mapped[str]
    party: Mapped[str]
    party_name: Mapped[str] = mapped_column(server_default="")
    subject: Mapped[str] = mapped_column(server_default="")
    token: Mapped[str] = mapped_column(server_default="")
    verified: Mapped[bool] = mapped_column(server_default=text("false"))
    other_sender: Mapped[bool] = mapped_column(server_default=text("false"))
    automatic: Mapped[str] = mapped_column(server_default="")
    failed: Mapped[str] = mapped_column(server_default="")
    folded: Mapped[str] = mapped_column(server_default="")
    html: Mapped[str] = mapped_column(server_default="")
    remote_images: Mapped[int] = mapped_column(server_default=text("0"))
    inline: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    left_out: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    stopped_at: Mapped[datetime | None]
    aside: Mapped[bool] = mapped_column(server_default=text("false"))


_TABLE = cast(Table, Letter.__table__)


class Outcome(StrEnum):
    """What became of a mail that came in."""

    TAKEN = "taken"
    AGAIN = "again"
    OWN = "own"
    BOUNCED = "bounced"
    MACHINE = "machine"
    NOBODY = "nobody"


class TooMany(ValueError):
    """One sender writes faster than anybody types, or more new ones come than a shop has in its busiest hour."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail whose files were checked: those that may be kept with their `cid`, and the names of the others."""

    mail: Inbound
    files: Sequence[tuple[Upload, str]]
    left_out: Sequence[str]


async def prepare(mail: Inbound) -> Prepared:
    """Check the files of a mail, outside any transaction: types sniffed, pictures drawn anew, sizes capped."""
    files: list[tuple[Upload, str]] = []
    left_out: list[str] = []
    for part in mail.parts:
        try:
            if len(files) >= MAX_FILES or not part.content:
                raise attachments.too_large()
            files.append((await attachments.inspect(part.name, part.content), part.cid))
        except AhlanError:
            left_out.append(attachments.shown_name(part.name))
    return Prepared(mail, files, left_out)


async def take(tx: Tx, store: Store, box: Mailbox, prepared: Prepared) -> Outcome:
    """Put a mail where it belongs: into its thread, or at the beginning of one. The same Message-ID is taken once.

    Raises TooMany.
    """
    mail = prepared.mail
    await tx.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"mail {store.id} {mail.external_id}", 0)))
    )
    if await _known(tx, store.id, mail.external_id):
        return Outcome.AGAIN
    box.heard_at = datetime.now(UTC)
    if mail.sender in (box.address, box.inbox) or mailboxes.marks([mail.sender]):
        return Outcome.OWN
    before = await _answered(tx, store.id, mail)
    if mail.automatic is Automatic.BOUNCE:
        return await _bounced(tx, before, mail)
    if not mail.sender:
        return Outcome.NOBODY
    recent = await _recent(tx, store.id, mail.sender)
    if recent >= TAKEN_AN_HOUR:
        raise TooMany(f"more than {TAKEN_AN_HOUR} mails of one sender within an hour")
    if mail.automatic is Automatic.REPLY:
        return await _machine(tx, store, before, mail)
    if before is not None and before.aside:
        await _aside(tx, store, before, prepared)
        return Outcome.TAKEN
    hushed = await blocked.is_blocked(tx, email=mail.sender)
    # Who is blocked goes on where they were blocked, and into nobody else's thread.
    if hushed and (before is None or before.party != mail.sender):
        before = await _latest_of(tx, store.id, mail.sender)
    if before is None and recent >= BEGIN_AN_HOUR:
        before = await _latest_of(tx, store.id, mail.sender)
    if before is None and await _begun(tx, store.id) >= BEGUN_AN_HOUR:
        raise TooMany(f"more than {BEGUN_AN_HOUR} conversations begun by mail within an hour")
    if hushed and before is not None:
        await blocked.hush(tx, before.conversation_id)
    verified = _is_verified(box, before, mail)
    if before is not None and verified:
        await _prove(tx, store, before, mail)
    conversation_id = before.conversation_id if before is not None else await _begin(tx, store, mail, hushed)
    await _into(tx, store, conversation_id, prepared, verified=verified, before=before)
    return Outcome.TAKEN


async def sent(
    tx: Tx, *, store_id: UUID, conversation_id: UUID, message_id: UUID, external_id: str, party: str, subject: str,
    token: str, aside: bool = False,
) -> None:  # fmt: skip
    """Remember a mail of ours before it leaves: its answer may come before we hear that it arrived."""
    await tx.execute(
        insert(_TABLE)
        .values(
            workspace_id=tx.workspace_id, id=new_id(), store_id=store_id, conversation_id=conversation_id,
            message_id=message_id, incoming=False, external_id=external_id, party=party, subject=subject, token=token,
            aside=aside,
        )
        .on_conflict_do_nothing()
    )  # fmt: skip


async def stop(tx: Tx, vault: Vault, conversation_id: UUID, mark: str) -> bool:
    """Whoever has the mark's mails wants no more answers of this conversation. Whether there is such a reader."""
    # The mark was made for the conversation of that day; its mails may stand in another one by now.
    made_for, head = conversation_id, await threads.lock_living(tx, conversation_id)
    conversation_id = head.id if head is not None else conversation_id
    parties = await tx.scalars(
        select(_TABLE.c.party)
        .where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.conversation_id == conversation_id,
            _TABLE.c.incoming.is_(False),
        )
        .distinct()
    )
    party = next((one for one in parties if mailboxes.mark(vault, made_for, one) == mark), None)
    if party is None:
        return False
    stopped = await tx.scalar(
        update(_TABLE)
        .where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.conversation_id == conversation_id,
            _TABLE.c.incoming.is_(False),
            _TABLE.c.party == party,
            _TABLE.c.stopped_at.is_(None),
        )
        .values(stopped_at=func.now())
        .returning(_TABLE.c.id)
    )
    if stopped is not None:
        await _record(tx, "mail.stopped", conversation_id, {"party": party})
    return True


async def is_stopped(tx: Tx, conversation_id: UUID, party: str) -> bool:
    """Whether they asked for no more e-mail about this conversation, and have not written since."""
    newest = await tx.execute(
        select(_TABLE.c.stopped_at)
        .where(
            _TABLE.c.workspace_id == tx.workspace_id, _TABLE.c.conversation_id == conversation_id,
            _TABLE.c.party == party, _TABLE.c.automatic == "", _TABLE.c.aside.is_(False),
        )
        .order_by(_TABLE.c.created_at.desc(), _TABLE.c.id.desc())
        .limit(1)
    )  # fmt: skip
    return newest.scalar() is not None


async def chain(tx: Tx, conversation_id: UUID, *, aside: str = "") -> list[str]:
    """The Message-IDs of a thread, oldest first: the first one, and the latest.

    `aside`: of what was written to and by this address that the team asked; nobody else's letters name them.
    """
    whose = (_TABLE.c.aside.is_(True), _TABLE.c.party == aside) if aside else (_TABLE.c.aside.is_(False),)
    ids = list(
        await tx.scalars(
            select(_TABLE.c.external_id)
            .where(
                _TABLE.c.workspace_id == tx.workspace_id,
                _TABLE.c.conversation_id == conversation_id,
                _TABLE.c.automatic == "",
                *whose,
            )
            .order_by(_TABLE.c.created_at, _TABLE.c.id)
        )
    )
    return ids if len(ids) <= CHAIN else [ids[0], *ids[1 - CHAIN :]]


async def of_messages(tx: Tx, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]:
    """The mail that each of these messages came as."""
    rows = await tx.scalars(
        select(Letter).where(
            Letter.workspace_id == tx.workspace_id, Letter.message_id.in_(message_ids), Letter.incoming.is_(True)
        )
    )
    return {row.message_id: row for row in rows if row.message_id is not None}


async def _known(tx: Tx, store_id: UUID, external_id: str) -> bool:
    found = await tx.scalar(
        select(_TABLE.c.id).where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.store_id == store_id,
            _TABLE.c.external_id == external_id,
            _TABLE.c.incoming.is_(True),
        )
    )
    return found is not None


async def _answered(tx: Tx, store_id: UUID, mail: Inbound) -> Letter | None:
    """The mail that this one answers: by our mark, else by its references and its sender."""
    ours = Letter.workspace_id == tx.workspace_id, Letter.store_id == store_id
    if tokens := mailboxes.marks(list(mail.recipients)):
        found: Letter | None = await tx.scalar(
            select(Letter).where(*ours, Letter.token.in_(tokens)).order_by(Letter.created_at.desc()).limit(1)
        )
        if found is not None:
            return found
    named = [id for id in (mail.in_reply_to, *reversed(mail.references)) if id]
    if not named:
        return None
    rows = list(await tx.scalars(select(Letter).where(*ours, Letter.external_id.in_(named))))
    # A machine's report on a mail comes from nobody we know; it names a mail that only its receivers have seen.
    if mail.automatic is Automatic.NO or mail.automatic is Automatic.BULK:
        rows = [row for row in rows if row.party == mail.sender]
    return min(rows, key=lambda row: named.index(row.external_id), default=None)


def _is_verified(box: Mailbox, before: Letter | None, mail: Inbound) -> bool:
    """Whether the address answered what we wrote to it, and the server that took the mail in saw that it is no forgery.

    The mark is what makes it an answer: only who reads that address's mail has it.
    """
    if before is None or not box.relay or before.token not in mailboxes.marks(list(mail.recipients)):
        return False
    return bool(before.token) and before.party == mail.sender and box.relay in mail.trusted_by


async def _prove(tx: Tx, store: Store, before: Letter, mail: Inbound) -> None:
    """An e-mail conversation with that address is theirs. A chat is not: whoever typed the address into it may be
    somebody else, and would then pass for its owner.
    """
    talk = await tx.get(Conversation, before.conversation_id)
    if talk is None or talk.channel != EMAIL or talk.reply_email != mail.sender or talk.customer_id is not None:
        return
    customer_id = await customers.create_proven(tx, identities.EMAIL, mail.sender, Proof.ANSWERED_MAIL, store.id)
    await threads.belongs(tx, talk.id, customer_id)


async def _recent(tx: Tx, store_id: UUID, party: str) -> int:
    an_hour = (
        select(_TABLE.c.id)
        .where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.store_id == store_id,
            _TABLE.c.party == party,
            _TABLE.c.incoming.is_(True),
            _TABLE.c.created_at > func.now() - timedelta(hours=1),
        )
        .limit(TAKEN_AN_HOUR)
    )
    return int(await tx.scalar(select(func.count()).select_from(an_hour.subquery())))


async def _latest_of(tx: Tx, store_id: UUID, party: str) -> Letter | None:
    found: Letter | None = await tx.scalar(
        select(Letter)
        .where(
            Letter.workspace_id == tx.workspace_id,
            Letter.store_id == store_id,
            Letter.party == party,
            Letter.incoming.is_(True),
            Letter.aside.is_(False),
        )
        .order_by(Letter.created_at.desc())
        .limit(1)
    )
    return found


async def _begun(tx: Tx, store_id: UUID) -> int:
    """How many conversations mail began within the hour."""
    an_hour = (
        select(Conversation.id)
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.store_id == store_id,
            Conversation.channel == EMAIL,
            Conversation.created_at > func.now() - timedelta(hours=1),
        )
        .limit(BEGUN_AN_HOUR)
    )
    return int(await tx.scalar(select(func.count()).select_from(an_hour.subquery())))


async def _begin(tx: Tx, store: Store, mail: Inbound, hushed: bool) -> UUID:
    return await threads.begin_by_mail(tx, store.id, mail.sender, mail.subject, hushed=hushed)


async def _aside(tx: Tx, store: Store, before: Letter, prepared: Prepared) -> None:
    """Whom the team asked answers: a note, which calls whoever asked, and has the conversation looked at again."""
    mail = prepared.mail
    head = await threads.lock_living(tx, before.conversation_id)
    if head is None:
        return
    files, inline, actor = await _kept_files(tx, store, prepared)
    body = messages.cleaned(mail.text) or mail.subject
    note, news = await messages.write_aside(
        tx, head.id, uuid5(store.id, mail.external_id), body, files, by=None, event="mail.answered_aside",
        name=mail.sender_name or mail.sender, uploader=actor, most=len(files),
    )  # fmt: skip
    if not news:
        return
    asked = await tx.get(messages.Message, before.message_id) if before.message_id is not None else None
    who = {id for id in (head.assignee_id, asked.agent_id if asked is not None else None) if id is not None}
    called = [agent for agent in await mentions.people(tx) if agent.id in who]
    await mentions.remember(tx, head.id, head.last_position + 1, called, by=None)
    await threads.look_again(tx, head)
    tx.add(_letter(store, head.id, UUID(note["id"]), prepared, inline, aside=True, other=before.party != mail.sender))
    await tx.flush()


async def _into(
    tx: Tx, store: Store, conversation_id: UUID, prepared: Prepared, *, verified: bool, before: Letter | None
) -> None:
    mail = prepared.mail
    # Held before anything names it: it may be put into another one just now.
    head = await threads.lock_living(tx, conversation_id)
    conversation_id = head.id if head is not None else conversation_id
    files, inline, actor = await _kept_files(tx, store, prepared)
    body = messages.cleaned(mail.text) or mail.subject
    message = await messages.receive_mail(
        tx, conversation_id, uuid5(store.id, mail.external_id), body, files, actor=actor
    )
    other = before is not None and before.party != mail.sender
    tx.add(_letter(store, conversation_id, UUID(message["id"]), prepared, inline, verified=verified, other=other))
    await tx.flush()


async def _kept_files(tx: Tx, store: Store, prepared: Prepared) -> tuple[list[UUID], dict[str, str], str]:
    """The files of a mail, which of them is which picture of its text, and who uploaded them."""
    # Of nobody but this mail: no upload of a shopper can be named by it.
    actor = f"shopper:{uuid5(store.id, prepared.mail.external_id)}"
    files: list[UUID] = []
    inline: dict[str, str] = {}
    for upload, cid in prepared.files:
        saved = await attachments.save(tx, upload, uploader=actor, store_id=store.id)
        files.append(UUID(saved["id"]))
        if cid:
            inline[cid] = saved["id"]
    return files, inline, actor


def _letter(
    store: Store,
    conversation_id: UUID,
    message_id: UUID,
    prepared: Prepared,
    inline: Mapping[str, str],
    *,
    verified: bool = False,
    other: bool = False,
    aside: bool = False,
) -> Letter:
    mail = prepared.mail
    return Letter(
        id=new_id(),
        store_id=store.id,
        conversation_id=conversation_id,
        message_id=message_id,
        incoming=True,
        external_id=mail.external_id,
        party=mail.sender,
        party_name=mail.sender_name,
        subject=mail.subject,
        verified=verified,
        other_sender=other,
        automatic=mail.automatic,
        folded=messages.cleaned(mail.folded),
        html=mail.html.replace("\x00", ""),
        remote_images=mail.remote_images,
        inline=dict(inline),
        left_out=list(prepared.left_out),
        aside=aside,
    )


async def _bounced(tx: Tx, before: Letter | None, mail: Inbound) -> Outcome:
    """A mail of ours came back: the thread says so, and nobody is answered."""
    if before is None or before.incoming:
        return Outcome.NOBODY
    await tx.execute(
        update(_TABLE)
        .where(_TABLE.c.workspace_id == tx.workspace_id, _TABLE.c.id == before.id)
        .values(failed=mail.failed or mail.subject or "?")
    )
    await _record(tx, "mail.bounced", before.conversation_id, {"party": before.party, "reason": mail.failed})
    return Outcome.BOUNCED


async def _machine(tx: Tx, store: Store, before: Letter | None, mail: Inbound) -> Outcome:
    """A holiday notice: kept, said in the thread, and nothing is opened again or waits for an answer because of it."""
    if before is None:
        return Outcome.NOBODY
    tx.add(
        Letter(
            id=new_id(),
            store_id=store.id,
            conversation_id=before.conversation_id,
            incoming=True,
            external_id=mail.external_id,
            party=mail.sender,
            party_name=mail.sender_name,
            subject=mail.subject,
            automatic=mail.automatic,
            folded=messages.cleaned(mail.text),
            aside=before.aside,
        )
    )
    await tx.flush()
    said = messages.cleaned(mail.text)[:200]
    await _record(tx, "mail.answered_itself", before.conversation_id, {"party": mail.sender, "said": said})
    return Outcome.MACHINE


async def _record(tx: Tx, kind: str, conversation_id: UUID, data: Mapping[str, str]) -> None:
    talk = await tx.get(Conversation, conversation_id)
    if talk is None:
        return
    await tx.record(
        kind, subject_id=talk.id, store_id=talk.store_id, customer_id=talk.customer_id, actor="system", data=data
    )
    tx.publish(f"panel:conversation:{talk.id}", {"type": "assigned"})
    tx.publish("queue", {"conversation_id": str(talk.id)})
