"""Send by e-mail, through any SMTP server: `smtp://user:password@host:587` or `smtps://user:password@host:465`.

On `smtp://` the connection is encrypted before anything else is said, unless the server is this very machine; a
server that cannot is refused.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from plugin.channel import Outbound
from plugin.kernel.errors import SetupError
from plugin.kernel.jobs import TaskError

_SECONDS = 20
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes out."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    wrapped: bool


def server_of(url: str) -> Server:
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
    return Server(parts.hostname, port or (465 if wrapped else 587), user, password, wrapped)


class EmailChannel:
    """The channel `email`: hands each message to one SMTP server."""

    kind = "email"

    def __init__(self, url: str, sender: str) -> None:
        self._server = server_of(url)
        if "@" not in sender:
            raise SetupError("AHLAN_MAIL_FROM must be the address that mail comes from: set it beside AHLAN_SMTP_URL.")
        self._sender = sender

    async def send(self, message: Outbound) -> str:
        """Hand the message over; returns its Message-ID, which stays the same when it is sent again.

        Raises TaskError: a refusal of the recipient or the message is final, everything else may be tried again.
        """
        mail = compose(message, self._sender)
        try:
            await asyncio.to_thread(self._deliver, mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, refusal = next(iter(error.recipients.values()))
            raise TaskError(f"the address was refused: {code} {_words(refusal)}", retry=code < 500) from error
        except smtplib.SMTPResponseException as error:
            # 535 is our own password: an operator mends it, and the mail should still go out then.
            final = error.smtp_code >= 500 and error.smtp_code != 535
            said = f"the mail server said {error.smtp_code} {_words(error.smtp_error)}"
            raise TaskError(said, retry=not final) from error
        except (smtplib.SMTPException, OSError) as error:
            raise TaskError(f"the mail server cannot be reached: {error!r}", retry=True) from error
        return str(mail["Message-ID"])

    def _deliver(self, mail: EmailMessage) -> None:
        server, context = self._server, ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(server.host, server.port, timeout=_SECONDS, context=context)
            if server.wrapped
            else smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
        ) as connection:
            connection.ehlo()
            if not server.wrapped and (connection.has_extn("starttls") or server.host not in _LOCAL):
                connection.starttls(context=context)
                connection.ehlo()
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(mail)


def compose(message: Outbound, sender: str) -> EmailMessage:
    """The message as MIME, plain and HTML. Headers are folded and encoded by the library: no line can be slipped in."""
    mail = EmailMessage()
    mail["From"] = Address(_line(message.sender_name), addr_spec=sender)
    mail["To"] = Address(addr_spec=message.recipient)
    if message.reply_to:
        mail["Reply-To"] = Address(addr_spec=message.reply_to)
    mail["Subject"] = _line(message.subject)
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2]}>"
    # Machines that answer mail (holiday notices) leave these alone: RFC 3834.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _words(said: bytes | str) -> str:
    return said.decode("utf-8", "replace")[:200] if isinstance(said, bytes) else said[:200]
