"""Mailboxes: the address at which a store is written to and answers from, and how mail goes out and comes in there."""

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.channel import Account
from plugin.conversations import readings
from plugin.conversations.conversations import EMAIL
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.personal import nobody
from plugin.kernel.text import normalise_email

DIRECTORY = "mailbox"
"""Kind of the directory entry that says whose a posted mail is; its key is the mailbox's `token`."""

SMTP, KEY, IMAP = "smtp", "mail_key", "imap"
"""Kinds of sealed credentials: the password to send with, what posted mail is signed with, the one to read with."""

READ_BY_US = "imap"
"""The provider that is none: a worker of ours reads the mailbox."""

PROVIDERS: dict[str, Lazy] = {
    "": _("Not yet: only the chat receives"),
    READ_BY_US: _("Ahlan reads the mailbox (IMAP)"),
    "mime": _("Our own mail server posts each mail"),
    "mailgun": _("Mailgun forwards each mail"),
    "postmark": _("Postmark forwards each mail"),
}

_PLAIN = (
    "address", "answer_address", "provider", "relay", "smtp_host", "smtp_port", "smtp_wrapped", "smtp_user",
    "imap_host", "imap_port", "imap_wrapped", "imap_user", "imap_folder", "plus",
)  # fmt: skip
_HOST = re.compile(r"(?!-)[a-z0-9.-]{1,253}(?<!-)")
_TOKEN_LETTERS = 20
_PLUS = re.compile(rf"\+([a-z2-7]{{{_TOKEN_LETTERS}}})@")


class Mailbox(Tenant, Base):
    """A store's mailbox. `address` is what customers see; answers arrive at `answer_address` where that is another.

    `provider` posts what comes in to `/webhooks/mail/<token>`, signed with the sealed `mail_key`. `relay` is the name
    under which the receiving server states what it authenticated (Authentication-Results); nobody else is believed.
    `trouble` is what went wrong when mail was last sent, in the server's words. `plus`: the server that is read knows
    addresses with a mark behind a plus. `unread` and `unread_said` tell why it cannot be read (`channel.Trouble`).
    """

    __tablename__ = "mailboxes"
    __table_args__ = (tenant_key("store_id", "stores"), {"info": nobody("the shop's own mailbox")})

    store_id: Mapped[UUID] = mapped_column(primary_key=True)
    address: Mapped[str]
    answer_address: Mapped[str] = mapped_column(server_default="")
    provider: Mapped[str] = mapped_column(server_default="")
    token: Mapped[str]
    relay: Mapped[str] = mapped_column(server_default="")
    smtp_host: Mapped[str] = mapped_column(server_default="")
    smtp_port: Mapped[int] = mapped_column(server_default=text("587"))
    smtp_wrapped: Mapped[bool] = mapped_column(server_default=text("false"))
    smtp_user: Mapped[str] = mapped_column(server_default="")
    trouble: Mapped[str] = mapped_column(server_default="")
    imap_host: Mapped[str] = mapped_column(server_default="")
    imap_port: Mapped[int] = mapped_column(server_default=text("993"))
    imap_wrapped: Mapped[bool] = mapped_column(server_default=text("true"))
    imap_user: Mapped[str] = mapped_column(server_default="")
    imap_folder: Mapped[str] = mapped_column(server_default="INBOX")
    plus: Mapped[bool] = mapped_column(server_default=text("false"))
    unread: Mapped[str] = mapped_column(server_default="")
    unread_said: Mapped[str] = mapped_column(server_default="")
    read_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def inbox(self) -> str:
        """Where answers arrive."""
        return self.answer_address or self.address

    @property
    def takes_marks(self) -> bool:
        """Whether an address with our mark behind a plus arrives here."""
        return bool(self.provider) and (self.provider != READ_BY_US or self.plus)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mailbox as the settings page says it; an empty secret keeps the one that is there."""

    address: str
    answer_address: str
    provider: str
    relay: str
    smtp_host: str
    smtp_port: int
    smtp_wrapped: bool
    smtp_user: str
    smtp_password: str
    key: str
    imap_host: str
    imap_port: int
    imap_wrapped: bool
    imap_user: str
    imap_folder: str
    imap_password: str
    plus: bool


class Unfit(AhlanError):
    """A mailbox cannot be like this; `fields` says why, by the form's names."""

    status = 422
    code = "mailbox_unfit"

    def __init__(self, fields: Mapping[str, Lazy]) -> None:
        super().__init__(_("Something in this mailbox does not fit."))
        self.fields = fields


def checked(form: Mapping[str, str]) -> Wanted:
    """What a form says. Raises Unfit with a sentence for each field that cannot be used."""
    wrong: dict[str, Lazy] = {}
    address = normalise_email(form.get("address", "")) or ""
    answers = form.get("answer_address", "").strip()
    answer_address = normalise_email(answers) or "" if answers else ""
    host = form.get("smtp_host", "").strip().lower().rstrip(".")
    imap_host = form.get("imap_host", "").strip().lower().rstrip(".")
    provider, relay = form.get("provider", ""), form.get("relay", "").strip().lower()[:253]
    folder = form.get("imap_folder", "").strip() or "INBOX"
    if not address or not address.isascii():
        wrong["address"] = _("This is no e-mail address.")
    if answers and (not answer_address or not answer_address.isascii()):
        wrong["answer_address"] = _("This is no e-mail address.")
    # 64 characters are what a name before the @ may have (RFC 5321, 4.5.3.1.1), and our mark takes 21.
    if len((answer_address or address).partition("@")[0]) > 64 - _TOKEN_LETTERS - 1:
        wrong["answer_address" if answers else "address"] = _(
            "What stands before the @ is too long: 43 characters at most."
        )
    for name, said in (("smtp_host", host), ("imap_host", imap_host)):
        if said and not _HOST.fullmatch(said):
            wrong[name] = _("This is no name of a server.")
    port, imap_port = _port(form, "smtp_port", 587), _port(form, "imap_port", 993)
    if port is None:
        wrong["smtp_port"] = _("A port is a number up to 65535; most servers use 587 or 465.")
    if imap_port is None:
        wrong["imap_port"] = _("A port is a number up to 65535; most servers use 993 or 143.")
    if provider == READ_BY_US:
        if not imap_host:
            wrong["imap_host"] = _("Name the server that the mailbox is on.")
        if not form.get("imap_user", "").strip():
            wrong["imap_user"] = _("Say who signs in there; mostly it is the address itself.")
        if len(folder) > 200 or not folder.isprintable():
            wrong["imap_folder"] = _("This is no name of a folder.")
    if provider not in PROVIDERS:
        wrong["provider"] = _("Choose one of these.")
    key = form.get("key", "").strip()
    if key and (len(key) < 16 or not key.isascii() or not key.isprintable() or any(c in key for c in " :@/")):
        wrong["key"] = _("A key has 16 characters or more, without blanks and without : @ /")
    if wrong or port is None or imap_port is None:
        raise Unfit(wrong)
    return Wanted(
        address=address,
        answer_address="" if answer_address == address else answer_address,
        provider=provider,
        relay=relay,
        smtp_host=host,
        smtp_port=port,
        smtp_wrapped=form.get("smtp_wrapped", "") == "1",
        smtp_user=form.get("smtp_user", "").strip()[:320],
        smtp_password=form.get("smtp_password", ""),
        key=key,
        imap_host=imap_host,
        imap_port=imap_port,
        imap_wrapped=form.get("imap_wrapped", "1") == "1",
        imap_user=form.get("imap_user", "").strip()[:320],
        imap_folder=folder,
        imap_password=form.get("imap_password", ""),
        plus=form.get("plus", "") == "1",
    )


def _port(form: Mapping[str, str], name: str, usual: int) -> int | None:
    said = form.get(name, "").strip() or str(usual)
    return whole(said, 65535) or None


async def of_store(tx: Tx, store_id: UUID | None) -> Mailbox | None:
    """The store's mailbox."""
    return await tx.get(Mailbox, store_id) if store_id is not None else None


async def save(tx: Tx, vault: Vault, store_id: UUID, wanted: Wanted, *, actor: str) -> Mailbox:
    """Set a store's mailbox up, or change it.

    Raises Unfit without a key for what is posted, and when a server changes and its password is not said again: it is
    for the server it was typed for.
    """
    box = await tx.get(Mailbox, store_id, lock=True)
    if box is None:
        box = Mailbox(store_id=store_id, address=wanted.address, token=secrets.token_urlsafe(18))
        tx.add(box)
        await tx.flush()
        await stores.claim(tx, DIRECTORY, box.token, store_id)
    moved = (box.smtp_host, box.smtp_user) != (wanted.smtp_host, wanted.smtp_user)
    if moved and wanted.smtp_host and wanted.smtp_user and not wanted.smtp_password:
        raise Unfit({"smtp_password": _("Type the password for this server.")})
    elsewhere = (box.imap_host, box.imap_user) != (wanted.imap_host, wanted.imap_user)
    if elsewhere and wanted.provider == READ_BY_US and not wanted.imap_password:
        raise Unfit({"imap_password": _("Type the password for this server.")})
    anew = elsewhere or box.imap_folder != wanted.imap_folder
    for name in _PLAIN:
        setattr(box, name, getattr(wanted, name))
    box.trouble = box.unread = box.unread_said = ""
    if wanted.imap_password or elsewhere:
        await stores.put_credential(tx, vault, store_id, IMAP, wanted.imap_password)
    if wanted.smtp_password or moved:
        await stores.put_credential(tx, vault, store_id, SMTP, wanted.smtp_password)
    if wanted.key:
        await stores.put_credential(tx, vault, store_id, KEY, wanted.key)
    elif wanted.provider not in ("", READ_BY_US) and await stores.credential(tx, vault, store_id, KEY) is None:
        raise Unfit({"key": _("Type the key; without one anybody could post mail here.")})
    await tx.flush()
    if wanted.provider == READ_BY_US:
        await readings.read_on(tx, store_id, anew=anew)
    else:
        await readings.read_no_more(tx, store_id)
    await tx.record("mailbox.changed", subject_id=store_id, store_id=store_id, actor=actor)
    return box


async def key_of(tx: Tx, vault: Vault, store_id: UUID) -> str:
    """What posted mail of this store is signed with; empty when it has no mailbox."""
    found = await stores.credential(tx, vault, store_id, KEY)
    return found[0] if found else ""


async def account(tx: Tx, vault: Vault, box: Mailbox | None) -> Account | None:
    """The store's own way out, or None: then it is the installation's."""
    if box is None or not box.smtp_host:
        return None
    found = await stores.credential(tx, vault, box.store_id, SMTP)
    return Account(
        box.smtp_host, box.smtp_port, box.smtp_user, found[0] if found else "", box.smtp_wrapped,
        sender=box.address, guarded=True,
    )  # fmt: skip


async def read_account(tx: Tx, vault: Vault, box: Mailbox) -> Account | None:
    """The server that a mailbox is read on, or None where we read none."""
    if box.provider != READ_BY_US:
        return None
    found = await stores.credential(tx, vault, box.store_id, IMAP)
    return Account(
        box.imap_host, box.imap_port, box.imap_user, found[0] if found else "", box.imap_wrapped, guarded=True
    )


async def can_send(app: App, tx: Tx, store_id: UUID | None) -> bool:
    """Whether a store's answers can go out by e-mail."""
    channel = app.channels.get(EMAIL)
    if channel is None:
        return False
    return channel.ready(None) or channel.ready(await account(tx, app.vault, await of_store(tx, store_id)))


def mails(app: App) -> bool:
    """Whether the installation itself can send mail."""
    channel = app.channels.get(EMAIL)
    return channel is not None and channel.ready(None)


def mark(vault: Vault, conversation_id: UUID, party: str) -> str:
    """What stands behind the plus of the address that answers to `party` go to: nobody else can make it."""
    digest = bytes.fromhex(vault.fingerprint("mail thread", f"{conversation_id} {party}"))
    return base64.b32encode(digest).decode().lower()[:_TOKEN_LETTERS]


def marked(box: Mailbox, token: str) -> str:
    """The mailbox's address with a mark."""
    local, _at, domain = box.inbox.rpartition("@")
    return f"{local}+{token}@{domain}"


def marks(recipients: list[str]) -> list[str]:
    """The marks among the addresses that a mail was sent to."""
    return [found[1] for address in recipients if (found := _PLUS.search(address))]
