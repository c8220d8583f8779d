"""A conversation as a letter, when its shopper asks for it: only to an address that the store vouches for."""

from html import escape
from uuid import UUID

from sqlalchemy import select

from plugin import stores
from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import mailboxes
from plugin.conversations.conversations import EMAIL, Conversation, Head
from plugin.conversations.messages import AGENT, BOT, MESSAGE, Message, in_a_letter
from plugin.crm import customers
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, normalise_email
from plugin.stores import Store
from plugin.team import Agent

MOST = 500
"""Messages in a letter, the newest of them."""


async def ask(app: App, tx: Tx, head: Head | None, customer_id: UUID | None, *, actor: str) -> str:
    """Arrange that the conversation is mailed; returns where to. `customer_id` is whom a proof names, now.

    Asking again while it is under way asks for nothing. Raises Forbidden without a proven address (a typed one may be
    anybody's), NotFound without a conversation of that customer's, AhlanError where no mail is sent.
    """
    if head is not None and not await mailboxes.can_send(app, tx, head.store_id):
        raise AhlanError(_("This shop sends no e-mail from here yet."), code="no_mail")
    if head is None or head.last_seq == 0:
        raise NotFound(_("There is no conversation yet."))
    if customer_id is None or head.customer_id != customer_id:
        raise _unproven()
    to = await customers.own_email(tx, customer_id)
    if not to:
        raise _unproven()
    await tx.record(
        "conversation.transcript_asked",
        subject_id=head.id,
        store_id=head.store_id,
        customer_id=customer_id,
        actor=actor,
    )
    await tx.enqueue(
        "send_transcript", unique=f"transcript:{head.id}", conversation_id=head.id, customer_id=customer_id
    )
    return to


def _unproven() -> Forbidden:
    return Forbidden(
        _("A copy goes only to the address of a customer account."), _("Sign in to the shop, then ask again.")
    )


async def sendable_to(app: App, tx: Tx, talk: Conversation) -> str:
    """Where an agent may have a copy sent: whoever wrote by mail where they wrote from, else a proven address.

    Empty where there is none, or no mail goes out. An address typed into a chat may be anybody's.
    """
    if talk.last_seq == 0 or not await mailboxes.can_send(app, tx, talk.store_id):
        return ""
    if talk.channel == EMAIL:
        return talk.reply_email
    return await customers.own_email(tx, talk.customer_id) if talk.customer_id is not None else ""


async def send_to_customer(app: App, tx: Tx, talk: Conversation, *, by: Agent) -> str:
    """An agent has the conversation mailed to its customer; returns where to. Asking again meanwhile asks for nothing.

    Raises AhlanError where there is no address that it may go to.
    """
    to = await sendable_to(app, tx, talk)
    if not to:
        raise AhlanError(
            _("There is no confirmed address to send it to."), _("Download it instead."), code="transcript_address"
        )
    await tx.record(
        "conversation.transcript_asked", subject_id=talk.id, store_id=talk.store_id, customer_id=talk.customer_id,
        actor=by.actor,
    )  # fmt: skip
    await tx.enqueue("send_transcript", unique=f"transcript:{talk.id}", conversation_id=talk.id, customer_id="")
    return to


async def as_text(words: Translator, tx: Tx, talk: Conversation, store: Store) -> str:
    """What the shopper may read of a conversation, as a text to keep: no notes."""
    lines = [_line(words, store, one, them=words.gettext("Customer")) for one in await _said(tx, talk.id)]
    return "\n\n".join(f"{who} · {when}\n{said}" for who, when, said in lines) + "\n"


async def send_transcript(app: App, workspace_id: UUID, *, conversation_id: str, customer_id: str) -> None:
    """Mail a conversation to its customer's own address. Sent twice after a crash, it has the same Message-ID.

    Without `customer_id` an agent asked, and the address is looked up now.
    """
    async with app.db.transaction(workspace_id) as tx:
        letter = await _letter(app, tx, UUID(conversation_id), UUID(customer_id) if customer_id else None)
        if letter is None:
            await tx.complete_job()
            return
    await app.channels[EMAIL].send(letter)
    async with app.db.transaction(workspace_id) as tx:
        await tx.complete_job()


async def _said(tx: Tx, conversation_id: UUID) -> list[Message]:
    newest = await tx.scalars(
        select(Message)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.seq.is_not(None),
            Message.kind == MESSAGE,
        )
        .order_by(Message.seq.desc())
        .limit(MOST)
    )
    return list(newest)[::-1]


async def _letter(app: App, tx: Tx, conversation_id: UUID, customer_id: UUID | None) -> Outbound | None:
    talk = await tx.get(Conversation, conversation_id)
    if talk is None or talk.store_id is None or (customer_id is not None and talk.customer_id != customer_id):
        return None
    # Asked again: the proof may be gone since, and with it the right to the letter.
    to = await (customers.own_email(tx, customer_id) if customer_id is not None else sendable_to(app, tx, talk))
    store = await stores.get(tx, talk.store_id)
    if not to or store is None or not await mailboxes.can_send(app, tx, store.id):
        return None
    said = await _said(tx, conversation_id)
    words = app.catalogues.translator(talk.locale or store.locale)
    box = await mailboxes.of_store(tx, store.id)
    subject = words.gettext("Your conversation with %(shop)s", shop=store.name)
    return Outbound(
        key=f"transcript.{conversation_id}.{talk.numbering}.{talk.last_seq}",
        workspace_id=tx.workspace_id,
        recipient=to,
        subject=subject,
        text=_plain(words, store, said),
        html=_html(words, store, said),
        sender_name=store.name,
        reply_to=(box.inbox if box is not None else "") or normalise_email(store.email) or "",
        account=await mailboxes.account(tx, app.vault, box),
    )


def _line(words: Translator, store: Store, message: Message, *, them: str = "") -> tuple[str, str, str]:
    """Who, when, what; `them` is what the shopper is called where they do not read it themselves."""
    bot = words.gettext("Automatic answer")
    ours = message.author_name or (bot if message.author == BOT else store.name)
    who = ours if message.author in (AGENT, BOT) else them or words.gettext("You")
    when = words.format_datetime(message.created_at, "short")
    if message.deleted_at is not None:
        return who, when, words.gettext("[Message deleted]")
    return who, when, in_a_letter(words, message, proven=True)


def _why(words: Translator, store: Store) -> str:
    return words.gettext("This copy was asked for in the chat of %(shop)s.", shop=store.name)


def _plain(words: Translator, store: Store, said: list[Message]) -> str:
    lines = [f"{isolate(who)} · {when}\n{text}" for who, when, text in (_line(words, store, one) for one in said)]
    return "\n\n".join([*lines, "-- ", _why(words, store)]) + "\n"


def _html(words: Translator, store: Store, said: list[Message]) -> str:
    lines = "".join(
        f'<p style="margin-block:16px 2px"><strong><bdi>{escape(who)}</bdi></strong> '
        f'<span style="color:#5c5c5c;font-size:14px">{escape(when)}</span></p>'
        f'<div dir="auto" style="white-space:pre-wrap">{escape(text)}</div>'
        for who, when, text in (_line(words, store, one) for one in said)
    )
    why = escape(_why(words, store))
    return (
        f'<!doctype html><html lang="{words.locale}" dir="{words.direction}"><head><meta charset="utf-8"></head>'
        f'<body style="font:16px/1.6 system-ui,sans-serif;color:#1c1c1c;margin:24px">{lines}'
        f'<p style="color:#5c5c5c;font-size:14px;margin-block-start:32px">{why}</p></body></html>'
    )
