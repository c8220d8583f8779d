"""Asks the language process over its socket. Loads no model and waits no longer than it says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from plugin.language.frames import (
    Answered,
    Ask,
    Asked,
    Broken,
    Embed,
    Fit,
    Fitted,
    Hits,
    Ping,
    Pong,
    Prepare,
    Prepared,
    Refused,
    Reply,
    Request,
    Search,
    Stock,
    Taught,
    Teach,
    Unknown,
    Vectors,
    read_replied,
    write,
)  # fmt: skip

log = structlog.get_logger(__name__)

SECONDS = 0.3
"""A shopper's message waits no longer for an answer; then a person gets it."""

WORK_SECONDS = 300.0
"""What nobody waits for (training, stocking) may take this long."""

# Nobody there: the next ones who ask are told so at once for this long.
_PAUSE = 1.0

_R = TypeVar("_R", bound=Reply)


class Away(Exception):
    """The language process does not answer, or not in time: go on without it, hand over to people."""


class NotStocked(Exception):
    """It answers, but does not have this shelf or book in this version: stock or teach it, then ask again."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


class Language:
    """One connection to the language process, opened when it is first needed and again after it broke."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._not_before = 0.0
        self._beside: dict[str, tuple[asyncio.Task[None], float]] = {}

    async def ping(self) -> Pong:
        """Whether it is there. Raises Away."""
        return await self._ask(Ping(), Pong, SECONDS)

    async def ask(self, book: str, version: str, text: str, *, seconds: float = SECONDS) -> Answered:
        """What a message is about. Raises Away, or NotStocked."""
        return await self._ask(Ask(book, version, text), Answered, seconds)

    async def search(
        self, shelf: str, version: str, text: str, *, language: str | None = None, count: int = 5,
        seconds: float = SECONDS,
    ) -> Hits:  # fmt: skip
        """The best passages for a question; without a version, of the shelf as it is. Raises Away, or NotStocked."""
        return await self._ask(Search(shelf, version, text, language, count), Hits, seconds)

    async def prepare(self, prepare: Prepare, *, seconds: float = WORK_SECONDS) -> Prepared:
        """The vectors of passages, to be kept and sent along when a shelf is filled. Raises Away."""
        return await self._ask(prepare, Prepared, seconds)

    async def stock(self, stock: Stock, *, seconds: float = WORK_SECONDS) -> Prepared:
        """Fill a shelf; gives back what `prepare` would. Raises Away, or NotStocked when `base` is gone."""
        return await self._ask(stock, Prepared, seconds)

    async def teach(self, teach: Teach, *, seconds: float = WORK_SECONDS) -> Taught:
        """Train a model. Raises Away, or ValueError when the examples teach nothing."""
        return await self._ask(teach, Taught, seconds)

    async def fit(self, fit: Fit, *, seconds: float = WORK_SECONDS) -> Fitted:
        """Make a workspace's own book. Raises Away, NotStocked when its base is not there, ValueError for too much."""
        return await self._ask(fit, Fitted, seconds)

    async def embed(self, embed: Embed, *, seconds: float = WORK_SECONDS) -> Vectors:
        """Vectors of texts. Raises Away."""
        return await self._ask(embed, Vectors, seconds)

    def meanwhile(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do this in the background, unless it is being done or was begun less than `seconds` ago."""
        now = asyncio.get_running_loop().time()
        task, begun = self._beside.get(name, (None, -seconds))
        if now - begun < seconds or (task is not None and not task.done()):
            return
        self._beside[name] = (asyncio.create_task(self._quietly(name, work)), now)

    async def _quietly(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (Away, NotStocked) as error:
            log.info("language_background_given_up", work=name, error=repr(error))
        except Exception:  # Nobody waits for it: the next time is another chance.
            log.exception("language_background_failed", work=name)

    async def close(self) -> None:
        """Hang up."""
        beside = [task for task, _begun in self._beside.values()]
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def _ask(self, request: Request, kind: type[_R], seconds: float) -> _R:
        number = next(self._numbers)
        try:
            async with asyncio.timeout(seconds):
                writer = await self._connected()
                waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
                writer.write(write(Asked(number, int(seconds * 1000), request)))
                await writer.drain()
                reply = await waiting
        except (TimeoutError, OSError) as error:
            raise Away(f"{type(error).__name__}: {error}") from error
        finally:
            self._waiting.pop(number, None)
        if isinstance(reply, kind):
            return reply
        if isinstance(reply, Unknown):
            raise NotStocked(reply.version)
        if isinstance(reply, Refused):
            raise ValueError(reply.why)
        raise Away(f"an answer of the wrong kind: {type(reply).__name__}")

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            now = asyncio.get_running_loop().time()
            if now < self._not_before:
                raise ConnectionRefusedError("nobody was there a moment ago")
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:
                self._not_before = now + _PAUSE
                raise
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader, writer))
            return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand each reply to the one who waits for it, until the connection ends."""
        try:
            while True:
                replied = await read_replied(reader)
                waiting = self._waiting.get(replied.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(replied.reply)
        except (EOFError, OSError, Broken) as error:
            log.info("language_hung_up", error=repr(error))
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
                for waiting in self._waiting.values():
                    if not waiting.done():
                        waiting.set_exception(ConnectionResetError("the language process hung up"))
