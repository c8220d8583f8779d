"""Real mail servers for the tests: what the product sends is taken by one, what it reads lies in the other."""

import asyncio
import datetime
import email
import email.policy
import grp
import imaplib
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import textwrap
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from proxyprotocol.result import ProxyResultLocal
from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer
from pysasl.hashing import BuiltinHash


@dataclass
class Post:
    """A real SMTP server: what was sent, to whom, by whom, and over how many connections."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    refusal: str = ""

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(parsed(bytes(envelope.content or b"")))
        self.senders.append(str(envelope.mail_from))
        self.recipients.extend(envelope.rcpt_tos)
        self.sessions.add(id(session))
        return "250 kept"


@asynccontextmanager
async def smtp_server() -> AsyncIterator[Post]:
    """An SMTP server on a free port, for as long as the block lasts."""
    post = Post()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(post, hostname="test"), "127.0.0.1", 0)
    post.port = server.sockets[0].getsockname()[1]
    yield post
    server.close()


def parsed(raw: bytes) -> EmailMessage:
    """A mail as the standard library reads it, not as we do."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def written(
    text: str, *, sender: str, to: str, subject: str = "My order", results: tuple[str, ...] = (), **headers: str
) -> bytes:
    """A mail; `results` are its Authentication-Results from the top down."""
    made = EmailMessage()
    for result in results:
        made["Authentication-Results"] = result
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Message-ID"] = headers.pop("message_id", f"<{uuid4()}@{sender.rpartition('@')[2].rstrip('>')}>")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


USER, PASSWORD = "help@dukkan.example", "the-password-of-the-mailbox"
DOVECOT = shutil.which("dovecot")


@dataclass(frozen=True)
class Certificate:
    """A certificate for `localhost` that nobody but whoever trusts `authority` believes."""

    path: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context

    def believer(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.path))


def certificate(folder: Path, name: str = "localhost") -> Certificate:
    """Make one that is good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names if name == "localhost" else names[:1]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    found = Certificate(folder / "cert.pem", folder / "key.pem")
    found.path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return found


class MailServer:
    """A real IMAP server with one mailbox, spoken to by the standard library and not by what the product uses."""

    def __init__(self, name: str, proof: Certificate) -> None:
        self.name = name
        self.port = self.starttls_port = 0
        self.trust = proof.believer()
        self.kept: list[tuple[bytes, float]] = []

    async def cut(self) -> None:
        """End every connection, as a server does that starts again."""
        raise NotImplementedError

    async def forget(self) -> None:
        """Lose every letter with its number; whatever comes later is numbered anew."""
        raise NotImplementedError

    async def deliver(self, raw: bytes, at: float | None = None) -> None:
        """A letter arrives, now or `at` another time."""
        self.kept.append((raw, at or time.time()))
        await self._put(*self.kept[-1])

    async def renumber(self) -> None:
        """What a server does that lost its index: the same letters under other numbers."""
        await self.forget()
        for raw, at in self.kept:
            await self._put(raw, at)

    async def _put(self, raw: bytes, at: float) -> None:
        """Whoever sends mail tries again: a server that has just started may not be ready for it."""
        for attempt in range(5):
            try:
                await asyncio.to_thread(self._talk, lambda box: _append(box, raw, at))
                return
            except (AssertionError, OSError, imaplib.IMAP4.abort) as error:
                if attempt == 4:
                    raise AssertionError(self.noted()) from error
            await asyncio.sleep(0.5)

    def noted(self) -> str:
        """What the server wrote into its log."""
        return ""

    async def count(self, which: str) -> int:
        """How many letters another mail program shows as SEEN or UNSEEN."""

        def count(box: imaplib.IMAP4) -> int:
            _good(box.select("INBOX", readonly=True))
            return len(_good(box.search(None, which))[0].split())

        found: int = await asyncio.to_thread(self._talk, count)
        return found

    def _talk(self, what: Callable[[imaplib.IMAP4], Any]) -> Any:
        with imaplib.IMAP4_SSL("localhost", self.port, ssl_context=self.trust, timeout=20) as box:
            _good(box.login(USER, PASSWORD))
            return what(box)


def _append(box: imaplib.IMAP4, raw: bytes, at: float) -> None:
    lines = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    _good(box.append("INBOX", "", imaplib.Time2Internaldate(at), lines))


def _good(answer: tuple[str, list[Any]]) -> list[Any]:
    assert answer[0] == "OK", answer
    return answer[1]


class _Pymap(MailServer):
    """pymap, in this very loop, with its letters in memory."""

    config: Any
    login: Any

    def __init__(self, proof: Certificate) -> None:
        super().__init__("pymap", proof)
        self.writers: set[asyncio.StreamWriter] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            told = SocketInfo.get(writer, ProxyResultLocal(), unique_id=uuid4().bytes)
            await IMAPServer(self.login, self.config)(reader, writer, told)
        finally:
            self.writers.discard(writer)

    async def cut(self) -> None:
        for writer in list(self.writers):
            writer.transport.abort()

    async def forget(self) -> None:
        self.config.set_cache.clear()
        await self.cut()


@asynccontextmanager
async def pymap_server(folder: Path) -> AsyncIterator[MailServer]:
    """A mailbox on pymap, for as long as the block lasts."""
    proof = certificate(folder)
    made = _Pymap(proof)
    told = Namespace(
        demo_data=False, demo_user=USER, demo_password=PASSWORD, tls=True, debug=False, passlib_cfg=None, cert=None,
        key=None, host="127.0.0.1", port=0, proxy_protocol=None,
    )  # fmt: skip
    # Half a second of hashing at each sign-in would be most of what a test of mail takes.
    backend, made.config = await DictBackend.init(
        told, ssl_context=proof.server(), invalid_user_sleep=0.0, hash_context=BuiltinHash(rounds=1)
    )
    made.login = backend.login
    wrapped = await asyncio.start_server(made.talk, "127.0.0.1", 0, ssl=proof.server())
    plain = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    made.port, made.starttls_port = (one.sockets[0].getsockname()[1] for one in (wrapped, plain))
    yield made
    wrapped.close()
    plain.close()
    await made.cut()


class _Dovecot(MailServer):
    """Debian's Dovecot, in a process of its own."""

    def __init__(self, folder: Path, proof: Certificate) -> None:
        super().__init__("dovecot", proof)
        self.folder, self.proof = folder, proof
        self.process: subprocess.Popen[bytes] | None = None
        self.port, self.starttls_port = _free_port(), _free_port()

    def start(self) -> None:
        # Dovecot opens no mailbox as root.
        nobody = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        mine = pwd.getpwuid(os.getuid()).pw_name
        mail = self.folder / "mail"
        mail.mkdir(exist_ok=True)
        if os.getuid() == 0:
            os.chown(mail, nobody.pw_uid, nobody.pw_gid)
        settings = self.folder / "dovecot.conf"
        settings.write_text(
            textwrap.dedent(f"""
                protocols = imap
                listen = 127.0.0.1
                base_dir = {self.folder}/run
                state_dir = {self.folder}/state
                log_path = {self.folder}/log
                ssl = yes
                ssl_cert = <{self.proof.path}
                ssl_key = <{self.proof.key}
                default_internal_user = {"dovecot" if os.getuid() == 0 else mine}
                default_login_user = {"dovenull" if os.getuid() == 0 else mine}
                default_internal_group = {"dovecot" if os.getuid() == 0 else grp.getgrgid(os.getgid()).gr_name}
                mail_location = maildir:{mail}
                first_valid_uid = {min(500, nobody.pw_uid)}
                first_valid_gid = 0
                service imap-login {{
                  chroot =
                  inet_listener imap {{
                    port = {self.starttls_port}
                  }}
                  inet_listener imaps {{
                    port = {self.port}
                    ssl = yes
                  }}
                }}
                service anvil {{
                  chroot =
                }}
                passdb {{
                  driver = static
                  args = password={PASSWORD}
                }}
                userdb {{
                  driver = static
                  args = uid={nobody.pw_uid} gid={nobody.pw_gid} home={mail}
                }}
            """)
        )
        assert DOVECOT is not None
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", str(settings)], start_new_session=True)

    def noted(self) -> str:
        return (self.folder / "log").read_text()

    async def answers(self) -> None:
        for _ in range(200):
            with suppress(OSError):
                await asyncio.to_thread(self._talk, lambda box: None)
                return
            await asyncio.sleep(0.05)
        raise AssertionError(self.noted())

    async def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 60)
        # Its children end by themselves, but later: none may write into what the next one begins anew.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def cut(self) -> None:
        await self.stop()
        self.start()
        await self.answers()

    async def forget(self) -> None:
        await self.stop()
        shutil.rmtree(self.folder / "mail")
        # Its new number of the mailbox is the second in which it was made.
        await asyncio.sleep(1.1)
        self.start()
        await self.answers()


@asynccontextmanager
async def dovecot_server() -> AsyncIterator[MailServer]:
    """A mailbox on Dovecot while the block lasts, in a folder that its user may enter: pytest's are closed."""
    folder = Path(tempfile.mkdtemp(prefix="ahlan-dovecot-"))
    folder.chmod(0o711)
    made = _Dovecot(folder, certificate(folder))
    made.start()
    try:
        await made.answers()
        yield made
    finally:
        await made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


SERVERS = [
    "pymap",
    pytest.param("dovecot", marks=pytest.mark.skipif(DOVECOT is None, reason="Dovecot is not installed")),
]
"""The servers that tests of reading run against: one comes with the tests, the other is what many shops have."""


@asynccontextmanager
async def imap_server(name: str, folder: Path) -> AsyncIterator[MailServer]:
    """The server of that name; `folder` is for its certificate."""
    async with pymap_server(folder) if name == "pymap" else dovecot_server() as made:
        yield made
