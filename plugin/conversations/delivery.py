"""Answers follow the shopper: who has left the chat gets what they have not read by e-mail.

A proven customer's own address goes first. An address that was typed into this conversation gets this conversation's
unread answers and nothing else: no history, no names, no orders, since anybody may type anybody's address.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from uuid import UUID

from sqlalchemy import select, update

from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import attachments, letters, mailboxes, presence
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import EMAIL, Conversation
from plugin.conversations.mailboxes import Mailbox
from plugin.conversations.messages import AGENT, BOT, MESSAGE, Message, in_a_letter
from plugin.crm import customers
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.jobs import TaskError
from plugin.kernel.text import normalise_email
from plugin.stores import Store

HERE_SECONDS = 180
"""Somebody with the chat open gets this long to read the answer there."""

GONE_SECONDS = 20
"""Somebody who left gets it soon, but answers written one after the other still come as one mail."""

STOP, STOP_PATH = "stop mail", "/mail/stop"
"""Purpose and place of the links by which somebody ends the mails about a conversation."""

_STOP_SECONDS = 180 * 86_400
_TASK = "send_replies"
_LIMIT = 20
CARRIED_BYTES = 15 * 1024 * 1024
"""Bytes of files in one letter, at most."""

_RE = re.compile(r"re\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Letter:
    outbound: Outbound
    seq: int
    store_id: UUID
    conversation_id: UUID


async def deliver_reply(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """After an answer: look again a little later whether it was read. Nothing happens where no mail can go out."""
    conversation_id = UUID(subject_id)
    here = await presence.shopper_is_here(app.hub, workspace_id, conversation_id)
    async with app.db.transaction(workspace_id) as tx:
        conversation = await tx.get(Conversation, conversation_id)
        if conversation is not None and await mailboxes.can_send(app, tx, conversation.store_id):
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
    try:
        await app.channels[EMAIL].send(letter.outbound)
    except TaskError as error:
        await _failed(app, workspace_id, letter, str(error), final=not error.retry)
        if error.retry:
            raise
    async with app.db.transaction(workspace_id) as tx:
        await tx.execute(
            update(threads.TABLE)
            .where(threads.TABLE.c.workspace_id == workspace_id, threads.TABLE.c.id == id)
            .values(emailed_seq=letter.seq)
        )
        await _heard(tx, letter.store_id, "")
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
    if not answers or not to or store is None or await letters.is_stopped(tx, conversation_id, to):
        return None
    words = app.catalogues.translator(_language(answers) or conversation.locale or store.locale)
    last = answers[-1]
    assert last.seq is not None
    box = await mailboxes.of_store(tx, store.id)
    by_mail = conversation.channel == EMAIL
    thread = await letters.chain(tx, conversation_id)
    token = mailboxes.mark(app.vault, conversation_id, to)
    # Who wrote by mail asked for an answer by mail; to a chat anybody may give anybody's address.
    stop = "" if by_mail else _stop_link(app, tx.workspace_id, conversation_id, token)
    subject = words.gettext("An answer from %(shop)s", shop=store.name)
    if by_mail and conversation.subject:
        # Nothing is answered by the first letter of a thread that we begin.
        said = not thread or _RE.match(conversation.subject)
        subject = conversation.subject if said else f"Re: {conversation.subject}"
    files = [UUID(file["id"]) for answer in answers for file in answer.data.get("attachments", ())] if by_mail else []
    carried = await attachments.whole(tx, files)
    # What would be too much for most mailboxes is named instead: the agent sees that it did not go along.
    if sum(len(content) for _name, _type, content in carried) > CARRIED_BYTES:
        carried = []
    outbound = Outbound(
        # Not its number: that is another one where conversations were put together or taken apart.
        key=str(last.id),
        workspace_id=tx.workspace_id,
        recipient=to,
        subject=subject,
        text=_plain(words, store, box, answers, stop, bool(carried)),
        html=_html(words, store, box, answers, stop, bool(carried)),
        thread=thread,
        sender_name=store.name,
        reply_to=answers_to(store, box, token),
        automatic=all(answer.author == BOT for answer in answers),
        files=carried,
        account=await mailboxes.account(tx, app.vault, box),
        stop_url=stop,
    )
    await letters.sent(
        tx, store_id=store.id, conversation_id=conversation_id, message_id=last.id,
        external_id=app.channels[EMAIL].message_id(outbound), party=to, subject=subject, token=token,
    )  # fmt: skip
    return _Letter(outbound, last.seq, store.id, conversation_id)


def _language(answers: Sequence[Message]) -> str:
    """The language of a letter that has nothing but our own words in one language; empty where people wrote it.

    A return made in English is told in English, whatever language the conversation beside it is in.
    """
    spoken = {str(answer.data.get("language", "")) for answer in answers}
    return spoken.pop() if len(spoken) == 1 else ""


def answers_to(store: Store, box: Mailbox | None, token: str) -> str:
    """Where an answer should go: only what a provider takes in for us is sure to know what a plus means."""
    if box is None:
        return normalise_email(store.email) or ""
    return mailboxes.marked(box, token) if box.takes_marks else box.inbox


async def _failed(app: App, workspace_id: UUID, letter: _Letter, said: str, *, final: bool) -> None:
    """The mailbox's page says what the server said; of what will not go out, the thread does too."""
    async with app.db.transaction(workspace_id) as tx:
        await _heard(tx, letter.store_id, said[:500])
        if final:
            await tx.record(
                "mail.refused",
                subject_id=letter.conversation_id,
                store_id=letter.store_id,
                data={"party": letter.outbound.recipient, "reason": said[:500]},
            )
            tx.publish(f"panel:conversation:{letter.conversation_id}", {"type": "assigned"})


async def _heard(tx: Tx, store_id: UUID, trouble: str) -> None:
    box = await mailboxes.of_store(tx, store_id)
    if box is not None:
        box.trouble = trouble
        box.sent_at = box.sent_at if trouble else datetime.now(UTC)


async def _unread(tx: Tx, conversation_id: UUID, seq: int) -> list[Message]:
    rows = await tx.scalars(
        select(Message)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.seq > seq,
            Message.author.in_((AGENT, BOT)),
            Message.kind == MESSAGE,
            # Taken back before it went out.
            Message.deleted_at.is_(None),
            # Left from another conversation that was merged into this one (`merging`).
            ~Message.data.has_key("gone"),
        )
        .order_by(Message.seq)
        .limit(_LIMIT)
    )
    return list(rows)


async def recipient(tx: Tx, conversation: Conversation) -> str:
    """Who wrote by mail is answered where they wrote from. Else the address of the account that the store vouched for,
    else the one typed into this very conversation.
    """
    if conversation.channel == EMAIL:
        return conversation.reply_email
    if conversation.customer_id is not None and (proven := await customers.own_email(tx, conversation.customer_id)):
        return proven
    return conversation.reply_email


def _stop_link(app: App, workspace_id: UUID, conversation_id: UUID, token: str) -> str:
    claims = {"w": str(workspace_id), "c": str(conversation_id), "m": token}
    return f"{app.settings.public_url}{STOP_PATH}/{app.vault.sign(STOP, claims, _STOP_SECONDS)}"


def _closing(words: Translator, store: Store, box: Mailbox | None, stop: str) -> tuple[str, ...]:
    if not stop:
        return ()
    how = (
        words.gettext("Answer this e-mail, or open the chat at %(address)s in the same browser.", address=store.url)
        if box is not None and box.provider
        else words.gettext("To answer, open the chat at %(address)s in the same browser.", address=store.url)
    )
    why = words.gettext("This came because this address was left in the chat of %(shop)s.", shop=store.name)
    return how, why


def _plain(
    words: Translator, store: Store, box: Mailbox | None, answers: list[Message], stop: str, carried: bool
) -> str:
    said = [
        f"{answer.author_name or store.name}:\n{in_a_letter(words, answer, files=not carried)}" for answer in answers
    ]
    closing = _closing(words, store, box, stop)
    if stop:
        more = words.gettext("No more e-mails about this conversation")
        closing = (*closing, f"{more}: {stop}")
    return "\n\n".join([*said, *(["-- ", *closing] if closing else [])]) + "\n"


# Up to what ends the sentence around it; the isolates that our own messages carry are no part of an address.
_ADDRESS = re.compile(r"https?://[^\s<>\u2066-\u2069]*[^\s<>\u2066-\u2069.,;:!?،؛؟)\]»\"']")


def _linked(text: str) -> str:
    """Words as HTML, with their web addresses to be pressed: not every mail program finds those by itself."""
    parts, done = [], 0
    for found in _ADDRESS.finditer(text):
        address = escape(found[0])
        parts += [escape(text[done : found.start()]), f'<a dir="ltr" href="{address}">{address}</a>']
        done = found.end()
    return "".join([*parts, escape(text[done:])])


def _html(
    words: Translator, store: Store, box: Mailbox | None, answers: list[Message], stop: str, carried: bool
) -> str:
    said = "".join(
        f"<p><strong><bdi>{escape(answer.author_name or store.name)}</bdi></strong></p>"
        '<div dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;margin-block:0 24px">'
        f"{_linked(in_a_letter(words, answer, files=not carried))}</div>"
        for answer in answers
    )
    closing = "<br>".join(escape(line) for line in _closing(words, store, box, stop))
    if stop:
        more = escape(words.gettext("No more e-mails about this conversation"))
        closing += f'<br><a href="{escape(stop)}" style="color:inherit">{more}</a>'
    return (
        f'<!doctype html><html lang="{words.locale}" dir="{words.direction}"><head><meta charset="utf-8"></head>'
        f'<body style="font:16px/1.6 system-ui,sans-serif;color:#1c1c1c;margin:24px">{said}'
        f'{f"""<p style="color:#5c5c5c;font-size:14px">{closing}</p>""" if closing else ""}</body></html>'
    )
