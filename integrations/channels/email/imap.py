"""Read a mailbox by IMAP (RFC 9051): TLS always, the address that was checked, and never more than we can hold.

`IMAPClient` blocks, so it works in threads of its own; only the waiting (IDLE, RFC 2177) happens on the event loop, by
watching the socket. Whoever leaves the block, or runs out of time, closes the socket: that ends the thread too.
"""

from __future__ import annotations

import asyncio
import imaplib
import io
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from integrations.channels.email import inbound
from plugin.channel import Account, Lying, ReadingFailed, Trouble
from plugin.kernel.http import AddressRefused, HttpError

LARGEST = 40 * 1024 * 1024
"""Bytes of one letter, as for what is posted; of a larger one only BEGINNING is read."""

BEGINNING = 256 * 1024
_AT_ONCE = LARGEST + 4 * BEGINNING
"""Bytes of everything that a server says to one question, which all stays in memory until it is read."""

_ANSWER_SECONDS = 30
_CONNECT_SECONDS = 15
_STEP_SECONDS = 120
"""For one question and its whole answer, a large letter over a slow line among them."""

_THREADS = 64
_LARGE_BYTES = 1024 * 1024
_LARGE_AT_ONCE = 2
_POLL_SECONDS = 30
_DATED_AT_ONCE = 200
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_SAID = 200

T = TypeVar("T")


class TooMuch(imaplib.IMAP4.abort):
    """More at once than any letter may have."""


class _Connection(imaplib.IMAP4):
    """Connects to the address that was checked; the name is still what the certificate must be for."""

    def __init__(self, address: str, account: Account, context: ssl.SSLContext) -> None:
        self._to, self._wrapped, self._context = address, account.wrapped, context
        self._said = 0
        super().__init__(account.host, account.port, _CONNECT_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self._to, self.port), timeout)
        return self._context.wrap_socket(plain, server_hostname=self.host) if self._wrapped else plain

    def read(self, size: int) -> bytes:
        """The server says how long its answer will be, and may say anything: what is too long is not begun."""
        if size > LARGEST + BEGINNING:
            raise TooMuch(f"the server announced {size} bytes at once")
        self._count(size)
        return super().read(size)

    def readline(self) -> bytes:
        """A line, which the library ends at a megabyte; but of lines there may be any number."""
        line: bytes = super().readline()
        self._count(len(line))
        return line

    def asked(self) -> None:
        """Another question: what is said to it is counted anew."""
        self._said = 0

    def has_unread(self) -> bool:
        """Whether the server's last words came with others: they lie in our buffers and the socket tells nobody."""
        patience = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            return bool(cast("io.BufferedReader", self.file).peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self.sock.settimeout(patience)

    def _count(self, size: int) -> None:
        self._said += size
        if self._said > _AT_ONCE:
            raise TooMuch(f"the server said more than {_AT_ONCE} bytes to one question")


class _Client(IMAPClient):  # type: ignore[misc]  # it brings no types
    def __init__(self, address: str, account: Account, context: ssl.SSLContext) -> None:
        self._made: Callable[[], imaplib.IMAP4] = lambda: _Connection(address, account, context)
        timeout = SocketTimeout(_CONNECT_SECONDS, _ANSWER_SECONDS)
        super().__init__(account.host, account.port, ssl=account.wrapped, ssl_context=context, timeout=timeout)
        # The library has every line that goes over the wire noted at level DEBUG, whole letters among them.
        self._imap.debug = 0

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return self._made()

    def asked(self) -> None:
        """Another question begins."""
        cast("_Connection", self._imap).asked()

    def listen(self) -> bool:
        """Begin IDLE; whether the server has said something already."""
        self.idle()
        return cast("_Connection", self._imap).has_unread()

    @property
    def has_news(self) -> bool:
        """Whether letters were announced (EXISTS) since `forget_news`, beside the answer to a question."""
        return "EXISTS" in self._imap.untagged_responses

    def forget_news(self) -> None:
        """Whoever asks for the letters now learns of every one that was announced before."""
        self._imap.untagged_responses.pop("EXISTS", None)


class Mailboxes:
    """Opens folders on mail servers (`plugin.channel.OpenMailbox`)."""

    def __init__(self, resolve: Callable[[str, int], list[str]] | None, context: ssl.SSLContext) -> None:
        self._resolve = resolve
        self._context = context
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="imap")
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    @asynccontextmanager
    async def open(self, account: Account, folder: str) -> AsyncIterator[Folder]:
        """A folder, signed in and selected. Raises ReadingFailed."""
        connecting = asyncio.get_running_loop().run_in_executor(self._threads, self._connect, account, folder)
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                client, told = await asyncio.shield(connecting)
        except TimeoutError as error:
            connecting.add_done_callback(_abandoned)
            raise ReadingFailed(Trouble.BROKEN, f"not open within {_STEP_SECONDS} s") from error
        except asyncio.CancelledError:
            # The thread ends by its own time limits; what it opened by then is closed.
            connecting.add_done_callback(_abandoned)
            raise
        opened = Folder(client, told, self._threads, self._large)
        try:
            yield opened
        finally:
            opened.hang_up()

    def close(self) -> None:
        """Take no more work; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _connect(self, account: Account, folder: str) -> tuple[_Client, dict[bytes, Any]]:
        try:
            address = self._address(account)
            client = _Client(address, account, self._context)
        except AddressRefused as error:
            raise ReadingFailed(Trouble.PRIVATE, account.host) from error
        except HttpError as error:
            raise ReadingFailed(Trouble.UNKNOWN_HOST, account.host) from error
        except ssl.SSLCertVerificationError as error:
            raise ReadingFailed(Trouble.CERTIFICATE, error.verify_message) from error
        except ssl.SSLError as error:
            raise ReadingFailed(Trouble.NO_TLS, _words(error)) from error
        except OSError as error:
            # Nobody who speaks TLS keeps silent at the handshake.
            raise ReadingFailed(Trouble.UNREACHABLE, _words(error)) from error
        except imaplib.IMAP4.error as error:
            raise ReadingFailed(Trouble.NO_IMAP, _words(error)) from error
        try:
            return client, self._sign_in(client, account, folder)
        except ReadingFailed:
            _shut(client)
            raise
        except Exception as error:
            # The library is made for polite servers: what others say makes it raise anything.
            _shut(client)
            raise ReadingFailed(Trouble.BROKEN, _words(error)) from error

    def _address(self, account: Account) -> str:
        if account.guarded and self._resolve is not None:
            return self._resolve(account.host, account.port)[0]
        return account.host

    def _sign_in(self, client: _Client, account: Account, folder: str) -> dict[bytes, Any]:
        try:
            if not account.wrapped and (client.has_capability("STARTTLS") or account.host not in _LOCAL):
                if not client.has_capability("STARTTLS"):
                    raise ReadingFailed(Trouble.NO_TLS)
                client.starttls(self._context)
        except ssl.SSLCertVerificationError as error:
            raise ReadingFailed(Trouble.CERTIFICATE, error.verify_message) from error
        except (IMAPClientError, OSError) as error:
            raise ReadingFailed(Trouble.NO_TLS, _words(error)) from error
        try:
            _login(client, account)
        except LoginError as error:
            raise ReadingFailed(Trouble.LOGIN, _words(error)) from error
        try:
            told = cast("dict[bytes, Any]", client.select_folder(folder))
            if b"UIDNEXT" not in told:
                told[b"UIDNEXT"] = max(client.search(), default=0) + 1
            # Asked here, where it may block.
            told[b"IDLE"] = client.has_capability("IDLE")
            return told
        except imaplib.IMAP4.abort:
            raise
        except (IMAPClientError, UnicodeError) as error:
            raise ReadingFailed(Trouble.FOLDER, _words(error)) from error


def _login(client: _Client, account: Account) -> None:
    # LOGIN takes ASCII alone (RFC 9051, 6.2.3); a password with other letters needs the other way.
    if (account.user + account.password).isascii():
        client.login(account.user, account.password)
    else:
        client.plain_login(account.user, account.password)


def _abandoned(connecting: asyncio.Future[tuple[_Client, dict[bytes, Any]]]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        _shut(connecting.result()[0])


def _cut(client: _Client) -> None:
    with suppress(OSError, AttributeError):
        client.socket().shutdown(socket.SHUT_RDWR)


def _shut(client: _Client) -> None:
    _cut(client)
    with suppress(OSError, ValueError, imaplib.IMAP4.error):
        client.shutdown()


def _words(error: BaseException) -> str:
    """What the server said, as a line: never our password, which no server repeats but one might."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SAID]


class Folder:
    """A folder that is open (`plugin.channel.OpenMailbox`)."""

    def __init__(
        self, client: _Client, told: dict[bytes, Any], threads: ThreadPoolExecutor, large: asyncio.Semaphore
    ) -> None:
        self._client = client
        self._threads = threads
        self._large = large
        self.validity = int(told.get(b"UIDVALIDITY", 1))
        self.next_uid = int(told.get(b"UIDNEXT", 0))
        self.count = int(told.get(b"EXISTS", 0))
        self.tells = bool(told[b"IDLE"])

    async def first_since(self, at: datetime) -> int:
        """The number of the first letter that the server took in at `at` or later, or the number that comes next."""
        # SINCE knows days alone, by the server's own calendar (RFC 9051, 6.4.4); an arrival has no parts of a second.
        day, second = (at - timedelta(days=1)).date(), at.replace(microsecond=0)
        uids = sorted(await self._ask(lambda: self._client.search(["SINCE", day])), reverse=True)
        first = self.next_uid
        for begin in range(0, len(uids), _DATED_AT_ONCE):
            some = uids[begin : begin + _DATED_AT_ONCE]
            told = await self._ask(partial(self._client.fetch, some, ["INTERNALDATE"]))
            late = [uid for uid, said in told.items() if _moment(said.get(b"INTERNALDATE")) >= second]
            if not late:
                break
            first = min(first, *late)
        return first

    async def after(self, uid: int, limit: int) -> Sequence[Lying]:
        """The first `limit` letters with a number greater than `uid`."""
        self._client.forget_news()
        # "n:*" always means one letter at least: the last one, whatever its number.
        found = await self._ask(lambda: self._client.search(["UID", f"{uid + 1}:*"]))
        uids = sorted(one for one in found if one > uid)[:limit]
        if not uids:
            return []
        told = await self._ask(lambda: self._client.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"]))
        return [
            Lying(one, int(told[one].get(b"RFC822.SIZE", 0)), _moment(told[one].get(b"INTERNALDATE")))
            for one in uids
            if one in told
        ]

    async def fetch(self, letter: Lying) -> tuple[str, bytes] | None:
        """The letter, whole or, when it is larger than LARGEST, its beginning. It stays unread in the mailbox."""
        if letter.size < _LARGE_BYTES:
            return await self._fetch(letter)
        async with self._large:
            return await self._fetch(letter)

    async def _fetch(self, letter: Lying) -> tuple[str, bytes] | None:
        whole = letter.size <= LARGEST
        what = "BODY.PEEK[]" if whole else f"BODY.PEEK[]<0.{BEGINNING}>"
        told = await self._ask(lambda: self._client.fetch([letter.uid], [what]))
        for name, value in told.get(letter.uid, {}).items():
            if name.startswith(b"BODY[]") and isinstance(value, bytes):
                return (inbound.MIME if whole else inbound.BEGINNING), value
        return None

    async def mark_read(self, uid: int) -> None:
        """Set the flag that other mail programs show as read."""
        await self._ask(lambda: self._client.add_flags([uid], [b"\\Seen"], silent=True))

    async def wait(self, seconds: float) -> None:
        """IDLE until the server says anything; where it cannot, ask again after a while."""
        # What was announced with the last answers, IDLE announces no second time.
        if self._client.has_news:
            return
        if not self.tells:
            await asyncio.sleep(min(seconds, _POLL_SECONDS))
            await self._ask(self._client.noop)
            return
        if not await self._ask(self._client.listen):
            await self._readable(seconds)
        await self._ask(self._client.idle_done)

    async def _readable(self, seconds: float) -> None:
        loop, fileno = asyncio.get_running_loop(), self._client.socket().fileno()
        if fileno < 0:
            raise ReadingFailed(Trouble.BROKEN)
        told: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fileno, _tell, told)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await told
        finally:
            loop.remove_reader(fileno)

    async def _ask(self, question: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        self._client.asked()
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                return await loop.run_in_executor(self._threads, question)
        except TimeoutError as error:
            self.hang_up()
            raise ReadingFailed(Trouble.BROKEN, f"no answer within {_STEP_SECONDS} s") from error
        except Exception as error:
            # As in `_connect`.
            raise ReadingFailed(Trouble.BROKEN, _words(error)) from error

    def hang_up(self) -> None:
        """Cut the connection, whatever is under way on it: the thread that waits for an answer wakes up and ends."""
        _cut(self._client)
        with suppress(RuntimeError):
            self._threads.submit(_shut, self._client)


def _tell(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)


def _moment(value: Any) -> datetime:
    """INTERNALDATE as the library gives it: local time without its zone."""
    return value.astimezone(UTC) if isinstance(value, datetime) else datetime.now(UTC)
