"""Send by e-mail, through any SMTP server: `smtp://user:password@host:587` or `smtps://user:password@host:465`.

On `smtp://` the connection is encrypted before anything else is said, unless the server is this very machine; a
server that cannot is refused. A connection is kept for a while: the next mail to the same server goes out on it.
"""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote, urlsplit

from integrations.channels.email import inbound, markup
from integrations.channels.email.imap import Mailboxes
from plugin.channel import Account, Inbound, OpenMailbox, Outbound
from plugin.kernel.errors import SetupError
from plugin.kernel.http import HttpError
from plugin.kernel.jobs import TaskError

_SECONDS = 20
_IDLE_SECONDS = 30
_IDLE_MOST = 2
_USES = 100
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

CheckHost = Callable[[str, int], list[str]]
"""Resolves a host to addresses that may be connected to, or raises HttpError."""


def server_of(url: str) -> Account:
    """Read AHLAN_SMTP_URL. Raises SetupError with one sentence."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise SetupError("AHLAN_SMTP_URL has a port that is no number.") from error
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise SetupError(
            "AHLAN_SMTP_URL must look like smtp://user:password@host:587 or smtps://user:password@host:465."
        )
    wrapped = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Account(parts.hostname, port or (465 if wrapped else 587), user, password, wrapped)


class _Connections:
    """Signed-in SMTP connections that wait for the next mail, a few per server. Used from threads."""

    def __init__(self, check_host: CheckHost | None, context: ssl.SSLContext) -> None:
        self._check_host = check_host
        self._context = context
        self._lock = threading.Lock()
        self._idle: dict[Account, list[tuple[float, int, smtplib.SMTP]]] = {}

    def deliver(self, account: Account, mail: EmailMessage) -> None:
        connection, uses = self._take(account)
        if connection is not None and not _alive(connection):
            connection = None
        if connection is None:
            connection, uses = self._open(account), 0
        try:
            connection.send_message(mail, from_addr=account.sender)
        except BaseException:
            _quit(connection)
            raise
        self._give(account, connection, uses + 1)

    def close(self) -> None:
        """Say goodbye to every server."""
        with self._lock:
            kept = [one for waiting in self._idle.values() for _since, _uses, one in waiting]
            self._idle.clear()
        for connection in kept:
            _quit(connection)

    def _take(self, account: Account) -> tuple[smtplib.SMTP | None, int]:
        now, old = time.monotonic(), []
        found: tuple[smtplib.SMTP | None, int] = (None, 0)
        with self._lock:
            for known, waiting in list(self._idle.items()):
                old += [one for since, _uses, one in waiting if now - since > _IDLE_SECONDS]
                self._idle[known] = [entry for entry in waiting if now - entry[0] <= _IDLE_SECONDS]
                if not self._idle[known]:
                    del self._idle[known]
            if mine := self._idle.get(account):
                _since, uses, connection = mine.pop()
                found = connection, uses
        for connection in old:
            _quit(connection)
        return found

    def _give(self, account: Account, connection: smtplib.SMTP, uses: int) -> None:
        with self._lock:
            waiting = self._idle.setdefault(account, [])
            if uses < _USES and len(waiting) < _IDLE_MOST:
                waiting.append((time.monotonic(), uses, connection))
                return
        _quit(connection)

    def _open(self, account: Account) -> smtplib.SMTP:
        context = self._context
        made: smtplib.SMTP
        if account.guarded and self._check_host is not None:
            address = self._check_host(account.host, account.port)[0]
            made = _PinnedTls(address, account, context) if account.wrapped else _Pinned(address, account)
        elif account.wrapped:
            made = smtplib.SMTP_SSL(account.host, account.port, timeout=_SECONDS, context=context)
        else:
            made = smtplib.SMTP(account.host, account.port, timeout=_SECONDS)
        try:
            made.ehlo()
            if not account.wrapped and (made.has_extn("starttls") or account.host not in _LOCAL):
                made.starttls(context=context)
                made.ehlo()
            if account.user:
                made.login(account.user, account.password)
        except BaseException:
            _quit(made)
            raise
        return made


class _Pinned(smtplib.SMTP):
    """Connects to the address that was checked; the name is still what the certificate must be for."""

    def __init__(self, address: str, account: Account) -> None:
        self._address = address
        super().__init__(account.host, account.port, timeout=_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((self._address, port), timeout)


class _PinnedTls(smtplib.SMTP_SSL):
    def __init__(self, address: str, account: Account, context: ssl.SSLContext) -> None:
        self._address = address
        super().__init__(account.host, account.port, timeout=_SECONDS, context=context)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        return self.context.wrap_socket(plain, server_hostname=host)


def _alive(connection: smtplib.SMTP) -> bool:
    try:
        return connection.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        _quit(connection)
        return False


def _quit(connection: smtplib.SMTP) -> None:
    with suppress(smtplib.SMTPException, OSError):
        connection.quit()
    connection.close()


class EmailChannel:
    """The channel `email`: a store's own account where it has one, else the installation's SMTP server."""

    kind = "email"

    def __init__(
        self, url: str, sender: str, *, check_host: CheckHost | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._default: Account | None = None
        if url:
            if "@" not in sender:
                raise SetupError(
                    "AHLAN_MAIL_FROM must be the address that mail comes from: set it beside AHLAN_SMTP_URL."
                )
            server = server_of(url)
            self._default = Account(
                server.host, server.port, server.user, server.password, server.wrapped, sender=sender
            )
        context = context or ssl.create_default_context()
        self._connections = _Connections(check_host, context)
        self._mailboxes = Mailboxes(check_host, context)

    def ready(self, account: Account | None) -> bool:
        """Whether there is a server to send by."""
        return account is not None or self._default is not None

    def message_id(self, message: Outbound) -> str:
        """The Message-ID, without its brackets: the same whenever the message is sent again."""
        return _message_id(message, self._account(message).sender)

    def read(self, topic: str, headers: dict[str, str], body: bytes) -> Inbound:
        """A delivery of one of our sources. Raises ValueError when there is no mail in it."""
        return inbound.read(topic, headers, body)

    def show(self, html: str, inline: Mapping[str, str], remote: Sequence[str] = ()) -> str:
        """A mail's HTML with its own pictures, and those that lie elsewhere under addresses of ours."""
        return markup.show(html, inline, remote)

    def elsewhere(self, html: str) -> Sequence[str]:
        """The addresses of a mail's pictures that lie elsewhere."""
        return markup.elsewhere(html)

    async def send(self, message: Outbound) -> str:
        """Hand the message over; returns its Message-ID, which stays the same when it is sent again.

        Raises TaskError: a refusal of the recipient or the message is final, everything else may be tried again.
        """
        account = self._account(message)
        mail = compose(message, account.sender)
        try:
            await asyncio.to_thread(self._connections.deliver, account, mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, refusal = next(iter(error.recipients.values()))
            raise TaskError(f"the address was refused: {code} {_words(refusal)}", retry=code < 500) from error
        except smtplib.SMTPResponseException as error:
            # 535 is our own password: an operator mends it, and the mail should still go out then.
            final = error.smtp_code >= 500 and error.smtp_code != 535
            said = f"the mail server said {error.smtp_code} {_words(error.smtp_error)}"
            raise TaskError(said, retry=not final) from error
        except (smtplib.SMTPException, OSError, HttpError) as error:
            raise TaskError(f"the mail server cannot be reached: {error!r}", retry=True) from error
        return str(mail["Message-ID"])

    def open_mailbox(self, account: Account, folder: str) -> AbstractAsyncContextManager[OpenMailbox]:
        """A folder of a mail server, read by IMAP. Raises ReadingFailed."""
        return self._mailboxes.open(account, folder)

    async def close(self) -> None:
        """End the connections that wait."""
        self._mailboxes.close()
        await asyncio.to_thread(self._connections.close)

    def _account(self, message: Outbound) -> Account:
        account = message.account or self._default
        if account is None:
            raise TaskError("no mail server is set up", retry=False)
        return account


class _Folding(EmailPolicy):
    """The library's own, but that a long subject or name beyond ASCII keeps its blanks.

    Folded between two encoded words, the library leaves the blank outside of both, where it counts as nothing
    (https://github.com/python/cpython/issues/92081): "of your" arrives as "ofyour", in Arabic and Greek
    at nearly every line.
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        """One header as it goes over the wire."""
        text = str(value)
        if text.isascii() or self.utf8 or name.lower() not in ("subject", "from"):
            return super().fold_binary(name, value)
        if name.lower() == "from":
            (one,) = value.addresses
            text = f"{_encoded(name, one.display_name)}\n <{one.addr_spec}>"
        else:
            text = _encoded(name, text)
        return f"{name}: {text}\n".replace("\n", self.linesep).encode("ascii")


def _encoded(name: str, text: str) -> str:
    return Header(text, "utf-8", header_name=name).encode(linesep="\n")


def compose(message: Outbound, sender: str) -> EmailMessage:
    """The message as MIME, plain and HTML. Headers are folded and encoded by the library: no line can be slipped in."""
    mail = EmailMessage(policy=_Folding())
    mail["From"] = Address(_line(message.sender_name), addr_spec=sender)
    mail["To"] = Address(addr_spec=message.recipient)
    if message.reply_to:
        mail["Reply-To"] = Address(addr_spec=message.reply_to)
    mail["Subject"] = _line(message.subject)
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{_message_id(message, sender)}>"
    if message.thread:
        # The latest first of all, then as much of the chain as fits: RFC 5322, 3.6.4.
        mail["In-Reply-To"] = f"<{message.thread[-1]}>"
        mail["References"] = " ".join(f"<{id}>" for id in message.thread)
    if message.automatic:
        # Machines that answer mail (holiday notices) leave these alone: RFC 3834, 5.
        mail["Auto-Submitted"] = "auto-replied" if message.thread else "auto-generated"
    if message.stop_url:
        # One click in the reader's mail program (RFC 8058, 3.1): it posts there, a person who opens it is asked.
        mail["List-Unsubscribe"] = f"<{message.stop_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # The same for Exchange, and for what a person wrote too: nobody here reads a holiday notice twice.
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    for name, media_type, content in message.files:
        kind, _slash, subtype = media_type.partition("/")
        mail.add_attachment(content, maintype=kind, subtype=subtype or "octet-stream", filename=name)
    return mail


def _message_id(message: Outbound, sender: str) -> str:
    return f"{message.key}@{sender.rpartition('@')[2]}"


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _words(said: bytes | str) -> str:
    return said.decode("utf-8", "replace")[:200] if isinstance(said, bytes) else said[:200]
