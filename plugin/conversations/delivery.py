"""Answers follow the shopper: who has left the chat gets what they have not read by e-mail.

A proven customer's own address goes first. An address that was typed into this conversation gets this conversation's
unread answers and nothing else: no history, no names, no orders, since anybody may type anybody's address.
"""

from dataclasses import dataclass
from html import escape
from uuid import UUID

from sqlalchemy import select, update

from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import conversations as threads
from plugin.conversations import presence
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import AGENT, MESSAGE, Message
from plugin.crm import customers
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.text import normalise_email
from plugin.stores import Store

EMAIL = "email"

HERE_SECONDS = 180
"""Somebody with the chat open gets this long to read the answer there."""

GONE_SECONDS = 20
"""Somebody who left gets it soon, but answers written one after the other still come as one mail."""

_TASK = "send_replies"
_LIMIT = 20


@dataclass(frozen=True, slots=True)
class _Letter:
    outbound: Outbound
    seq: int


async def deliver_reply(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """After an answer: look again a little later whether it was read. Nothing happens without an e-mail channel."""
    if EMAIL not in app.channels:
        return
    conversation_id = UUID(subject_id)
    here = await presence.shopper_is_here(app.hub, workspace_id, conversation_id)
    async with app.db.transaction(workspace_id) as tx:
        await _later(tx, conversation_id, HERE_SECONDS if here else GONE_SECONDS)
        await tx.complete_job()


async def send_replies(app: App, workspace_id: UUID, *, conversation_id: str) -> None:
    """Send the answers that are still unread, as one mail. Sent twice after a crash, it has the same Message-ID."""
    id = UUID(conversation_id)
    async with app.db.transaction(workspace_id) as tx:
        letter = await _letter(app, tx, id)
        if letter is None:
            await tx.complete_job()
            return
    await app.channels[EMAIL].send(letter.outbound)
    async with app.db.transaction(workspace_id) as tx:
        await tx.execute(
            update(threads.TABLE)
            .where(threads.TABLE.c.workspace_id == workspace_id, threads.TABLE.c.id == id)
            .values(emailed_seq=letter.seq)
        )
        await tx.complete_job()
        # An answer written while we sent found this job unfinished and asked for no other.
        if await _unread(tx, id, letter.seq):
            await _later(tx, id, GONE_SECONDS)


async def _later(tx: Tx, conversation_id: UUID, seconds: float) -> None:
    await tx.enqueue(_TASK, delay=seconds, unique=f"replies:{conversation_id}", conversation_id=conversation_id)


async def _letter(app: App, tx: Tx, conversation_id: UUID) -> _Letter | None:
    conversation = await tx.get(Conversation, conversation_id)
    if conversation is None or conversation.store_id is None:
        return None
    answers = await _unread(tx, conversation_id, max(conversation.emailed_seq, conversation.shopper_read_seq))
    to = await recipient(tx, conversation)
    store = await tx.get(Store, conversation.store_id)
    if not answers or not to or store is None:
        return None
    words = app.catalogues.translator(conversation.locale or store.locale)
    last = answers[-1]
    assert last.seq is not None
    outbound = Outbound(
        key=f"{conversation_id}.{last.seq}",
        workspace_id=tx.workspace_id,
        recipient=to,
        subject=words.gettext("An answer from %(shop)s", shop=store.name),
        text=_plain(words, store, answers),
        html=_html(words, store, answers),
        sender_name=store.name,
        reply_to=normalise_email(store.email) or "",
    )
    return _Letter(outbound, last.seq)


async def _unread(tx: Tx, conversation_id: UUID, seq: int) -> list[Message]:
    rows = await tx.scalars(
        select(Message)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.seq > seq,
            Message.author == AGENT,
            Message.kind == MESSAGE,
        )
        .order_by(Message.seq)
        .limit(_LIMIT)
    )
    return list(rows)


async def recipient(tx: Tx, conversation: Conversation) -> str:
    """The address of the account that the store vouched for, else the one typed into this very conversation."""
    if conversation.customer_id is not None and (proven := await customers.own_email(tx, conversation.customer_id)):
        return proven
    return conversation.reply_email


def _closing(words: Translator, store: Store) -> tuple[str, str]:
    return (
        words.gettext("To answer, open the chat at %(address)s in the same browser.", address=store.url),
        words.gettext("This came because this address was left in the chat of %(shop)s.", shop=store.name),
    )


def _plain(words: Translator, store: Store, answers: list[Message]) -> str:
    said = [f"{answer.author_name}:\n{_shown(words, answer)}" for answer in answers]
    return "\n\n".join([*said, "-- ", *_closing(words, store)]) + "\n"


def _html(words: Translator, store: Store, answers: list[Message]) -> str:
    said = "".join(
        f'<p dir="auto"><strong><bdi>{escape(answer.author_name)}</bdi></strong></p>'
        f'<div dir="auto" style="white-space:pre-wrap;margin-block:0 24px">{escape(_shown(words, answer))}</div>'
        for answer in answers
    )
    how, why = (escape(line) for line in _closing(words, store))
    return (
        f'<!doctype html><html lang="{words.locale}" dir="{words.direction}"><head><meta charset="utf-8"></head>'
        f'<body style="font:16px/1.6 system-ui,sans-serif;color:#1c1c1c;margin:24px">{said}'
        f'<p style="color:#5c5c5c;font-size:14px">{how}<br>{why}</p></body></html>'
    )


def _shown(words: Translator, answer: Message) -> str:
    files = [
        words.gettext("[File in the chat: %(name)s]", name=file["name"]) for file in answer.data.get("attachments", ())
    ]
    return "\n".join([answer.text, *files] if answer.text else files)
