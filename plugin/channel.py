"""The port to a messaging channel: verify what came in, read it, send what we answer. A vendor is one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Automatic(StrEnum):
    """What a machine sent, as its headers say (RFC 3834); `NO` is what a person wrote."""

    NO = ""
    BOUNCE = "bounce"
    REPLY = "reply"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Part:
    """A file that came along, as it came: its type is the sender's word. `cid` is how the text names a picture.

    Without `content` it did not come along: it was too large, and can only be named.
    """

    name: str
    content: bytes = field(repr=False)
    cid: str = ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message that came through a channel.

    `text` is what was newly written, `folded` the quotes and the signature under it, `html` all of it made harmless
    (empty for plain text). `sender` is only what the message says of itself: a normalised address, or empty.
    `trusted_by` maps each relay that stated it authenticated the sender's own domain; whoever reads it decides whom
    to believe.
    """

    external_id: str
    sender: str
    sender_name: str
    subject: str
    text: str
    folded: str = ""
    html: str = ""
    remote_images: int = 0
    recipients: Sequence[str] = ()
    in_reply_to: str = ""
    references: Sequence[str] = ()
    parts: Sequence[Part] = ()
    automatic: Automatic = Automatic.NO
    failed: str = ""
    trusted_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """A mail server and who we are there. `guarded`: a merchant named it, so private addresses are refused."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    wrapped: bool = False
    sender: str = ""
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to send; `key` makes sending it twice harmless where the vendor allows that.

    `thread` are the ids of the messages before it, oldest first. `automatic`: no person wrote it. `account` sends it;
    None is the installation's own. A POST to `stop_url` ends such messages (RFC 8058); empty: they were asked for.
    """

    key: str
    workspace_id: UUID
    recipient: str
    subject: str
    text: str
    html: str
    thread: Sequence[str] = ()
    sender_name: str = ""
    reply_to: str = ""
    automatic: bool = True
    files: Sequence[tuple[str, str, bytes]] = field(default=(), repr=False)
    account: Account | None = None
    stop_url: str = ""


class Trouble(StrEnum):
    """Why a mailbox cannot be read; the settings page has a sentence for each."""

    UNKNOWN_HOST = "unknown_host"
    PRIVATE = "private"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    NO_TLS = "no_tls"
    NO_IMAP = "no_imap"
    LOGIN = "login"
    FOLDER = "folder"
    BROKEN = "broken"


class ReadingFailed(Exception):
    """A mailbox cannot be read: `trouble` says why, `said` what the server said about it."""

    def __init__(self, trouble: Trouble, said: str = "") -> None:
        super().__init__(f"{trouble.value}: {said}" if said else trouble.value)
        self.trouble = trouble
        self.said = said


@dataclass(frozen=True, slots=True)
class Lying:
    """A letter that lies in a mailbox: its number there, its size in bytes, when the server took it in."""

    uid: int
    size: int
    at: datetime


class OpenMailbox(Protocol):
    """A folder of a mail server, open for reading. Everything raises ReadingFailed.

    Numbers (`uid`) grow and hold as long as `validity` is the same (RFC 9051, 2.3.1.1).
    """

    validity: int
    next_uid: int
    count: int
    tells: bool
    """Whether the server says by itself when something arrives; if not, it is asked now and then."""

    async def first_since(self, at: datetime) -> int:
        """The number of the first letter that came at `at` or later, or `next_uid`."""
        ...

    async def after(self, uid: int, limit: int) -> Sequence[Lying]:
        """The first letters with a greater number."""
        ...

    async def fetch(self, letter: Lying) -> tuple[str, bytes] | None:
        """Topic and bytes for `Channel.read`; of a letter that is too large only its beginning. None: it has gone."""
        ...

    async def mark_read(self, uid: int) -> None:
        """Say in the mailbox that the letter was read."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when something may have arrived, after `seconds` at the latest."""
        ...


class Channel(Protocol):
    """What every vendor offers. Unsupported is an error that says so, never silence."""

    kind: str

    async def send(self, message: Outbound) -> str:
        """Hand the message over; returns the vendor's id. Raises TaskError(retry=…)."""
        ...

    def message_id(self, message: Outbound) -> str:
        """The id that `send` will give it, known before: what answers to it will name."""
        ...

    def ready(self, account: Account | None) -> bool:
        """Whether a message would find a server to leave by."""
        ...

    def show(self, html: str, inline: Mapping[str, str], remote: Sequence[str] = ()) -> str:
        """An `Inbound.html` as a page may show it; `inline` are addresses of its own pictures by their `cid`.

        `remote` are addresses of ours for those of `elsewhere`; without them they are not shown.
        """
        ...

    def elsewhere(self, html: str) -> Sequence[str]:
        """Where the pictures lie that did not come along, in their order; nobody but us asks there."""
        ...

    def read(self, topic: str, headers: dict[str, str], body: bytes) -> Inbound:
        """A delivery, read. Raises ValueError when nobody could."""
        ...

    def open_mailbox(self, account: Account, folder: str) -> AbstractAsyncContextManager[OpenMailbox]:
        """A folder on a mail server, for as long as the block lasts."""
        ...
