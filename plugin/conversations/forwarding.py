"""Asking somebody outside: a message or the whole thread goes by e-mail to a carrier or a supplier; a note keeps it.

What they answer comes back as a note: the team reads it, the shopper never does. To them it is a thread of its own,
with its own mark in the address, so that neither side's letters ever name the other's (docs/mail.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from uuid import UUID

from sqlalchemy import func, select

from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import attachments, changes, delivery, letters, mailboxes, messages
from plugin.conversations.conversations import EMAIL, Conversation
from plugin.conversations.messages import AGENT, BOT, Message, in_a_letter
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, NotFound, TooMany
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, normalise_email
from plugin.stores import Store
from plugin.team import Agent

MOST = 200
"""Messages in a letter, the newest of them."""

AN_HOUR = 100
"""Letters to others that a workspace sends within an hour, at most."""

_LONGEST_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """A letter to somebody outside. `only`: one message instead of the thread; `files`: theirs go along."""

    to: str
    subject: str
    body: str
    only: UUID | None = None
    files: bool = True


async def forward(
    app: App, tx: Tx, talk: Conversation, wanted: Wanted, files: Sequence[UUID], *, by: Agent, client_id: UUID
) -> dict[str, object]:
    """Keep the letter as a note and arrange that it is sent. Returns the note's JSON; a resend sends nothing again.

    Raises AhlanError for what is no address, or one that is written to anyway, and where no mail goes out; TooMany.
    """
    to = normalise_email(wanted.to)
    if to is None:
        raise AhlanError(_("This is no e-mail address."), code="forward_address", status=422)
    box = await mailboxes.of_store(tx, talk.store_id)
    if box is not None and to in (box.address, box.inbox):
        raise AhlanError(_("This is the shop's own address."), code="forward_address", status=422)
    if to == await delivery.recipient(tx, talk):
        raise AhlanError(
            _("This is the customer's own address."), _("Write a reply instead."), code="forward_address", status=422
        )
    if talk.store_id is None or not await mailboxes.can_send(app, tx, talk.store_id):
        raise AhlanError(_("This shop sends no e-mail from here yet."), code="no_mail")
    if wanted.only is not None:
        one = await tx.get(Message, wanted.only)
        if one is None or one.conversation_id != talk.id or one.deleted_at is not None:
            raise NotFound(_("This message is no longer there."))
    if not await messages.is_there(tx, talk.id, client_id) and await _lately(tx) >= AN_HOUR:
        raise TooMany(_("Too many e-mails went to others within an hour."), _("Try again in an hour."))
    subject = " ".join(wanted.subject.split())[:_LONGEST_SUBJECT] or talk.subject
    told = {"to": to, "subject": subject, "files": wanted.files, **({"only": str(wanted.only)} if wanted.only else {})}
    note, news = await messages.write_aside(
        tx, talk.id, client_id, wanted.body, files, by=by, event="mail.forwarded", more={"forward": told}
    )
    if news:
        await tx.enqueue("send_forward", message_id=note["id"])
    return note


async def _lately(tx: Tx) -> int:
    sent = select(func.count()).where(
        Event.workspace_id == tx.workspace_id,
        Event.kind == "mail.forwarded",
        Event.at > datetime.now(UTC) - timedelta(hours=1),
    )
    return int(await tx.scalar(sent))


async def send_forward(app: App, workspace_id: UUID, *, message_id: str) -> None:
    """Send a letter to somebody outside. Sent twice after a crash, it has the same Message-ID."""
    id = UUID(message_id)
    async with app.db.transaction(workspace_id) as tx:
        made = await _letter(app, tx, id)
        if made is None:
            await tx.complete_job()
            return
    outbound, talk_id, store_id = made
    failed = ""
    try:
        await app.channels[EMAIL].send(outbound)
    except TaskError as error:
        if error.retry:
            raise
        failed = str(error)[:500]
    async with app.db.transaction(workspace_id) as tx:
        note = await tx.get(Message, id)
        if note is not None and "forward" in note.data:
            state = "failed" if failed else "sent"
            await changes.amend(tx, id, forward={**note.data["forward"], "state": state})
        if failed:
            data = {"party": outbound.recipient, "reason": failed}
            await tx.record("mail.refused", subject_id=talk_id, store_id=store_id, data=data)
            tx.publish(f"panel:conversation:{talk_id}", {"type": "assigned"})
        await tx.complete_job()


async def _letter(app: App, tx: Tx, message_id: UUID) -> tuple[Outbound, UUID, UUID] | None:
    note = await tx.get(Message, message_id)
    if note is None or note.deleted_at is not None or "forward" not in note.data:
        return None
    talk = await tx.get(Conversation, note.conversation_id)
    store = await tx.get(Store, talk.store_id) if talk is not None and talk.store_id is not None else None
    if talk is None or store is None or not await mailboxes.can_send(app, tx, store.id):
        return None
    told = note.data["forward"]
    said = await _quoted(tx, note, UUID(told["only"]) if told.get("only") else None)
    words = app.catalogues.translator(store.locale)
    box = await mailboxes.of_store(tx, store.id)
    named = [file for one in [note, *(said if told["files"] else [])] for file in one.data.get("attachments", ())]
    carried = await attachments.whole(tx, [UUID(file["id"]) for file in named])
    if sum(len(content) for _name, _type, content in carried) > delivery.CARRIED_BYTES:
        carried = []
    to = told["to"]
    token = mailboxes.mark(app.vault, talk.id, f"aside {to}")
    subject = told["subject"] or words.gettext("A question from %(shop)s", shop=store.name)
    outbound = Outbound(
        key=f"forward.{message_id}",
        workspace_id=tx.workspace_id,
        recipient=to,
        subject=subject,
        text=_plain(words, store, note, said, bool(carried)),
        html=_html(words, store, note, said, bool(carried)),
        thread=await letters.chain(tx, talk.id, aside=to),
        sender_name=store.name,
        reply_to=delivery.answers_to(store, box, token),
        automatic=False,
        files=carried,
        account=await mailboxes.account(tx, app.vault, box),
    )
    await letters.sent(
        tx, store_id=store.id, conversation_id=talk.id, message_id=message_id,
        external_id=app.channels[EMAIL].message_id(outbound), party=to, subject=subject, token=token, aside=True,
    )  # fmt: skip
    return outbound, talk.id, store.id


async def _quoted(tx: Tx, note: Message, only: UUID | None) -> list[Message]:
    """What goes along, oldest first: never a note, nothing that was taken back, nothing that came after."""
    which = [
        Message.workspace_id == tx.workspace_id,
        Message.conversation_id == note.conversation_id,
        Message.seq.is_not(None),
        Message.deleted_at.is_(None),
    ]
    if only is not None:
        which.append(Message.id == only)
    else:
        which.append(Message.position < note.position)
    newest = await tx.scalars(select(Message).where(*which).order_by(Message.position.desc()).limit(MOST))
    return list(newest)[::-1]


def _line(words: Translator, store: Store, message: Message, carried: bool) -> tuple[str, str, str]:
    """Who, when, what. The customer's name and address stay here, unless they stand in the words."""
    bot = words.gettext("Automatic answer")
    ours = (bot if message.author == BOT else message.author_name) or store.name
    who = ours if message.author in (AGENT, BOT) else words.gettext("Customer")
    when = words.format_datetime(message.created_at, "short")
    return who, when, in_a_letter(words, message, files=not carried)


def _plain(words: Translator, store: Store, note: Message, said: Sequence[Message], carried: bool) -> str:
    quoted = []
    for who, when, text in (_line(words, store, one, carried) for one in said):
        quoted.append("\n".join(f"> {line}" for line in [f"{isolate(who)} · {when}", *text.splitlines()]))
    return "\n\n".join(filter(None, [note.text, *quoted])) + "\n"


def _html(words: Translator, store: Store, note: Message, said: Sequence[Message], carried: bool) -> str:
    # From the plain text alone, escaped: what somebody's mail was made of does not travel on.
    quoted = "".join(
        f'<p style="margin-block:16px 2px"><strong><bdi>{escape(who)}</bdi></strong> '
        f'<span style="color:#5c5c5c;font-size:14px">{escape(when)}</span></p>'
        f'<div dir="auto" style="white-space:pre-wrap">{escape(text)}</div>'
        for who, when, text in (_line(words, store, one, carried) for one in said)
    )
    if quoted:
        style = "border-inline-start:3px solid #ccc;margin:24px 0 0;padding-inline-start:16px"
        quoted = f'<blockquote style="{style}">{quoted}</blockquote>'
    return (
        f'<!doctype html><html lang="{words.locale}" dir="{words.direction}"><head><meta charset="utf-8"></head>'
        f'<body style="font:16px/1.6 system-ui,sans-serif;color:#1c1c1c;margin:24px">'
        f'<div dir="auto" style="white-space:pre-wrap">{escape(note.text)}</div>{quoted}</body></html>'
    )
