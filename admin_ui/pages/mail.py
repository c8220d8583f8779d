"""E-mail of a store: the mailbox's settings with a test, and a mail as its sender made it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from uuid import UUID

from markupsafe import Markup
from starlette.responses import Response

from admin_ui import remote_pictures
from admin_ui.desk import Desk, nothing_here
from admin_ui.pages.conversation import find
from admin_ui.store_choice import of_path
from plugin import privacy
from plugin.channel import Outbound, ReadingFailed, Trouble
from plugin.conversations import attachments, letters, mailboxes, readings
from plugin.conversations.conversations import EMAIL
from plugin.conversations.mailboxes import Mailbox, Unfit
from plugin.kernel.db import Tx
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import Lazy, _
from plugin.stores import Store
from plugin.team import audit


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a test."""

    good: bool
    text: str
    said: str = ""


async def index(desk: Desk) -> Response:
    """The mailbox of a store, or how to set one up."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("mail.html", **context)


async def save(desk: Desk) -> Response:
    """Set it up or change it; what does not fit is said at its field, and nothing is changed."""
    form = {name: str(value) for name, value in (await desk.request.form()).items()}
    try:
        async with desk.transaction() as tx:
            store = await of_path(tx, desk, connected=False)
            before = await mailboxes.of_store(tx, store.id)
            was = _told(before)
            box = await mailboxes.save(tx, desk.app.vault, store.id, mailboxes.checked(form), actor=desk.actor)
            if changes := audit.changed(was, _told(box)):
                audit.note(tx, "settings.mailbox", by=desk.agent.id, changes={"store": [None, store.name], **changes})
    except Unfit as unfit:
        async with desk.transaction() as tx:
            context = await _context(
                tx, desk, form, {name: desk.t.gettext(said) for name, said in unfit.fields.items()}
            )
        block = "page" if "hx-request" in desk.request.headers else ""
        return desk.page("mail.html", status=422, block=block, **context)
    return desk.go(f"settings/mail/{desk.path_id()}", saved="mailbox")


def _told(box: Mailbox | None) -> dict[str, str]:
    """What the audit trail keeps of a mailbox: no secret is among it."""
    names = (
        "address", "answer_address", "provider", "relay", "smtp_host", "smtp_user", "imap_host", "imap_user",
        "imap_folder",
    )  # fmt: skip
    return {name: getattr(box, name) if box is not None else "" for name in names}


async def test(desk: Desk) -> Response:
    """Send one mail to whoever asks, now, and say what the server said."""
    async with desk.transaction() as tx:
        store = await of_path(tx, desk, connected=False)
        box = await mailboxes.of_store(tx, store.id)
        account = await mailboxes.account(tx, desk.app.vault, box)
    t = desk.t
    channel = desk.app.channels[EMAIL]
    if not desk.agent.email:
        sent = Sent(False, t.gettext("We have no e-mail address of yours to send it to."))
    elif not channel.ready(account):
        sent = Sent(False, t.gettext("Name a server below: this installation has none of its own."))
    else:
        words = t.gettext("Mail from %(store)s goes out.", store=store.name)
        message = Outbound(
            key=f"test.{secrets.token_hex(12)}", workspace_id=desk.workspace_id, recipient=desk.agent.email,
            subject=words, text=f"{words}\n", html=f'<p dir="auto">{escape(words)}</p>', sender_name=store.name,
            reply_to=box.inbox if box is not None else "", account=account,
        )  # fmt: skip
        try:
            await channel.send(message)
            sent = Sent(True, t.gettext("Sent to %(address)s. Look whether it arrived.", address=desk.agent.email))
        except TaskError as error:
            sent = Sent(False, t.gettext("It could not be sent. This is what the server said:"), str(error)[:500])
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("mail.html", block="page", **{**context, "sent": sent})


TROUBLES: dict[Trouble, Lazy] = {
    Trouble.UNKNOWN_HOST: _("There is no server of this name. Look for a slip in it."),
    Trouble.PRIVATE: _(
        "This server is in a private network, where nothing is read. Whoever runs this installation can allow it."
    ),
    Trouble.UNREACHABLE: _("Nobody answers at this server and port. Most mailboxes are at port 993."),
    Trouble.CERTIFICATE: _("The server's certificate is of another name, has expired, or nobody vouches for it."),
    Trouble.NO_TLS: _("There is no such encryption at this port: TLS from the start is mostly 993, STARTTLS 143."),
    Trouble.NO_IMAP: _("Something answers at this port, but it is no mailbox server."),
    Trouble.LOGIN: _(
        "The server refuses this user and password. Gmail, iCloud and Yahoo want an app password, made in the "
        "account's security settings; Microsoft 365 takes none at all: have it forward its mail instead."
    ),
    Trouble.FOLDER: _("The mailbox has no folder of this name. The usual one is INBOX."),
    Trouble.BROKEN: _("The connection ended in between. It is tried again by itself."),
}
"""What to do about each reason why a mailbox cannot be read."""


async def look(desk: Desk) -> Response:
    """Open the mailbox once, now, as a worker would, and say what came of it."""
    async with desk.transaction() as tx:
        store = await of_path(tx, desk, connected=False)
        box = await mailboxes.of_store(tx, store.id)
        account = await mailboxes.read_account(tx, desk.app.vault, box) if box is not None else None
    if box is None or account is None:
        raise nothing_here()
    t = desk.t
    try:
        async with desk.app.channels[EMAIL].open_mailbox(account, box.imap_folder) as opened:
            text = t.ngettext(
                "The mailbox opens; %(num)s message is in it.", "The mailbox opens; %(num)s messages are in it.",
                opened.count,
            )  # fmt: skip
            slow = t.gettext("The server does not tell when mail arrives, so it is asked every half a minute.")
            tried = Sent(True, text, "" if opened.tells else slow)
    except ReadingFailed as failed:
        tried = Sent(False, t.gettext(TROUBLES[failed.trouble]), failed.said)
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("mail.html", block="page", **{**context, "sent": tried})


async def _context(
    tx: Tx, desk: Desk, form: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> dict[str, Any]:
    t = desk.t
    store = await of_path(tx, desk, connected=False)
    box = await mailboxes.of_store(tx, store.id)
    heading = t.gettext("E-mail of %(store)s", store=t.quoted(store.name))
    return {
        "shop": store,
        "box": box,
        "form": form if form is not None else _as_form(box, store),
        "address": _posted_to(desk, box),
        "providers": [(name, t.gettext(said)) for name, said in mailboxes.PROVIDERS.items()],
        "own_server": mailboxes.mails(desk.app),
        "errors": errors or {},
        "sent": None,
        "unread": t.gettext(TROUBLES[Trouble(box.unread)]) if box is not None and box.unread else "",
        "reads": box is not None and box.provider == mailboxes.READ_BY_US,
        "being_read": await readings.is_read(tx, store.id),
        "saved": desk.request.query_params.get("saved", ""),
        "heading": heading,
    }


def _as_form(box: Mailbox | None, store: Store) -> dict[str, str]:
    if box is None:
        return {"address": store.email, "smtp_port": "587", "imap_port": "993", "imap_wrapped": "1"}
    return {
        "address": box.address,
        "answer_address": box.answer_address,
        "provider": box.provider,
        "relay": box.relay,
        "smtp_host": box.smtp_host,
        "smtp_port": str(box.smtp_port),
        "smtp_wrapped": "1" if box.smtp_wrapped else "",
        "smtp_user": box.smtp_user,
        "imap_host": box.imap_host,
        "imap_port": str(box.imap_port),
        "imap_wrapped": "1" if box.imap_wrapped else "",
        "imap_user": box.imap_user,
        "imap_folder": box.imap_folder,
        "plus": "1" if box.plus else "",
    }


def _posted_to(desk: Desk, box: Mailbox | None) -> str:
    """Where the provider must post to. Postmark signs nothing: the key stands in the address, where KEY is."""
    if box is None or box.provider in ("", mailboxes.READ_BY_US):
        return ""
    address = f"{desk.app.settings.public_url}/webhooks/mail/{box.token}"
    if box.provider == "mailgun":
        return f"{address}/mime"
    if box.provider == "postmark":
        scheme, _colon, rest = address.partition("://")
        return f"{scheme}://ahlan:KEY@{rest}"
    return address


async def whole(desk: Desk) -> Response:
    """A mail as its sender made it, harmless; pictures that lie elsewhere only when asked for, and fetched by us."""
    asked = desk.request.query_params.get("images") == "1"
    try:
        message_id = UUID(desk.request.path_params["message"])
    except ValueError:
        raise nothing_here() from None
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        letter = (await letters.of_messages(tx, [message_id])).get(message_id)
        if letter is None or letter.conversation_id != talk.id:
            raise nothing_here()
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    channel = desk.app.channels[EMAIL]
    inline = {cid: attachments.link(desk.app.vault, desk.workspace_id, file) for cid, file in letter.inline.items()}
    remote = [remote_pictures.link(desk.app, desk.workspace_id, letter.id, number)
              for number, _source in enumerate(channel.elsewhere(letter.html))]  # fmt: skip
    shown = Markup(channel.show(letter.html, inline, remote if asked else ()))  # noqa: S704 - made harmless
    return desk.page(
        "mail_body.html",
        block="body",
        body=shown,
        talk_id=talk.id,
        message_id=message_id,
        waiting=0 if asked else letter.remote_images,
    )
