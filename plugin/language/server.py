"""The language process: models in memory, two threads, a socket. It knows no database and keeps nothing on disk.

One thread answers people, the other makes vectors of passages and trains, so that nobody waits behind a paragraph.
Messages that arrive while one is being answered are read together with the next. What it was given (shelves, books) it
keeps while there is room, and forgets what was not asked for the longest; who asks brings it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from plugin.kernel.errors import SetupError
from plugin.language import frames
from plugin.language.book import Book, Heard, Listener, in_batches
from plugin.language.embedder import DIMENSION, OF_MESSAGE, E5Embedder, Embedder
from plugin.language.frames import (
    Answered,
    Ask,
    Asked,
    Broken,
    Embed,
    Fit,
    Fitted,
    Hits,
    OwnExample,
    PassageIn,
    Ping,
    Pong,
    Prepare,
    Prepared,
    Refused,
    Replied,
    Reply,
    Search,
    Stock,
    Taught,
    Teach,
    Topic,
    Unknown,
    Vectors,
)  # fmt: skip
from plugin.language.kept import KeptVectors
from plugin.language.memory import give_back
from plugin.language.own import OwnBook
from plugin.language.own import Taught as Own
from plugin.language.shelf import WIDTH, Passage, Rows, Shelf, embedded, packed
from plugin.language.topics import Example

Floats = NDArray[np.float32]

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 8
"""Messages that are read together."""

MOST_EXAMPLES = 4_000
"""Examples of one book: training takes room by their square, which the process must have besides all else."""

MOST_OWN = 2_500
"""Examples that one workspace adds, held-out ones included."""

# Room for what workspaces bring along; the models themselves take the rest of the 400 megabytes.
_ROOM = 120 * 1024 * 1024
_TOPICS_SHOWN = 10

_T = TypeVar("_T", Shelf, Book, OwnBook)


class _Kept(Generic[_T]):
    """Things by name with their version, the longest unused first."""

    def __init__(self) -> None:
        self.entries: OrderedDict[str, tuple[str, _T]] = OrderedDict()

    def get(self, name: str, version: str) -> _T | Unknown:
        entry = self.entries.get(name)
        if entry is None or entry[0] != version:
            return Unknown(entry[0] if entry else "")
        self.entries.move_to_end(name)
        return entry[1]

    def version(self, name: str) -> str:
        """The version that there is, or nothing."""
        return self.entries.get(name, ("",))[0]

    def put(self, name: str, version: str, thing: _T) -> None:
        self.entries[name] = (version, thing)
        self.entries.move_to_end(name)

    @property
    def size(self) -> int:
        return sum(thing.size for _, thing in self.entries.values())

    def forget(self, gone: Callable[[_T], bool]) -> None:
        """Without those that are `gone`."""
        for name in [name for name, (_version, thing) in self.entries.items() if gone(thing)]:
            del self.entries[name]

    def forget_oldest(self) -> bool:
        if len(self.entries) < 2:
            return False
        self.entries.popitem(last=False)
        return True


class Library:
    """What the process knows and how it answers. Its methods block: they run on the two threads."""

    def __init__(self, embedder: Embedder, listener: Listener, kept: KeptVectors | None = None) -> None:
        self._embedder, self._listener, self._kept = embedder, listener, kept
        self._shelves: _Kept[Shelf] = _Kept()
        self._books: _Kept[Book] = _Kept()
        self._own: _Kept[OwnBook] = _Kept()

    def pong(self) -> Pong:
        """How it is."""
        pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") >> 20
        return Pong(
            os.getpid(), megabytes, len(self._shelves.entries), len(self._books.entries) + len(self._own.entries)
        )

    def quickly(self, requests: Sequence[Ask | Search | Embed]) -> list[Reply]:
        """Answers for people who wait, all in one go."""
        heard = {
            at: self._listener.hear(request.text)
            for at, request in enumerate(requests)
            if not isinstance(request, Embed)
        }
        # A search needs half of what a topic does.
        searched = [at for at, request in enumerate(requests) if isinstance(request, Search)]
        questions = dict(zip(searched, self._embedder.questions([heard[at].text for at in searched]), strict=True))
        texts: list[str] = []
        for at, request in enumerate(requests):
            if not isinstance(request, Search):
                texts += request.texts if isinstance(request, Embed) else [heard[at].text]
        vectors, taken = self._embedder.messages(texts), 0
        replies: list[Reply] = []
        for at, request in enumerate(requests):
            if isinstance(request, Search):
                replies.append(self._found(request, heard[at], questions[at]))
                continue
            count = len(request.texts) if isinstance(request, Embed) else 1
            own, taken = vectors[taken : taken + count], taken + count
            replies.append(_packed(own) if isinstance(request, Embed) else self._answered(request, heard[at], own))
        return replies

    def _answered(self, request: Ask, heard: Heard, vectors: Floats) -> Reply:
        book: Book | OwnBook | Unknown = self._books.get(request.book, request.version)
        if isinstance(book, Unknown):
            book = self._own.get(request.book, request.version)
        if isinstance(book, Unknown):
            return book
        (answer,) = book.answer([heard], vectors)
        topics = tuple(Topic(name, score) for name, score in answer.ranking[:_TOPICS_SHOWN])
        return Answered(topics, answer.confidence, answer.gate, answer.answer_from, answer.offer_from, heard.text,
                        heard.language, heard.arabizi)  # fmt: skip

    def _found(self, request: Search, heard: Heard, vector: Floats) -> Reply:
        version = request.version or self._shelves.version(request.shelf)
        shelf = self._shelves.get(request.shelf, version)
        if isinstance(shelf, Unknown):
            return shelf
        language = request.language or heard.language
        hits = shelf.search(heard.text, vector, language=language, count=request.count)
        found = tuple(frames.Hit(hit.id, hit.score, hit.language, hit.likeness) for hit in hits)
        return Hits(found, heard.text, heard.arabizi, version)

    def patiently(self, request: Prepare | Stock | Teach | Fit | Embed) -> Reply:
        """Work that nobody waits for."""
        if isinstance(request, Prepare):
            return Prepared(tuple(self._vectors_of(one).tobytes() for one in request.passages))
        if isinstance(request, Embed):
            return _packed(self._embedder.passages(request.texts))
        try:
            if isinstance(request, Stock):
                return self._stocked(request)
            return self._taught(request) if isinstance(request, Teach) else self._fitted(request)
        finally:
            # Matrices that are gone leave holes: without this the process stays as large as it ever was.
            give_back()

    def _stocked(self, request: Stock) -> Reply:
        shelf: Shelf | Unknown = self._shelves.get(request.shelf, request.base) if request.base else Shelf()
        if isinstance(shelf, Unknown):
            return shelf
        passages = [Passage(one.id, one.text, one.language, one.phrasings) for one in request.passages]
        vectors = [self._vectors_of(one) for one in request.passages]
        self._shelves.put(request.shelf, request.version, shelf.changed(passages, vectors, request.gone))
        self._make_room()
        return Prepared(tuple(own.tobytes() for own in vectors))

    def _vectors_of(self, sent: PassageIn) -> Rows:
        if sent.vectors and len(sent.vectors) % WIDTH == 0:
            return np.frombuffer(sent.vectors, dtype=np.uint8).reshape(-1, WIDTH)
        return packed(embedded(self._embedder, Passage(sent.id, sent.text, sent.language, sent.phrasings)))

    def _taught(self, request: Teach) -> Reply:
        known = self._books.get(request.book, request.version)
        if not isinstance(known, Unknown):
            # Everybody who finds a book missing brings it, and it takes minutes: the first one's is enough.
            return Taught(len(request.examples), float(known.topics.measured.right.mean()))
        examples = [Example(one.text, one.topic, one.language) for one in request.examples]
        if len(examples) > MOST_EXAMPLES:
            return Refused(f"{len(examples)} examples are more than {MOST_EXAMPLES}.")
        try:
            book = Book.of_examples(self._embedder, self._listener, examples, grows=True, kept=self._kept)
        except ValueError as error:
            return Refused(str(error))
        self._books.put(request.book, request.version, book)
        # What was built on the book before keeps all of it, and nobody asks for it any more.
        kept = [book for _version, book in self._books.entries.values()]
        self._own.forget(lambda own: not any(own.base is one for one in kept))
        self._make_room()
        return Taught(len(examples), float(book.topics.measured.right.mean()))

    def _fitted(self, request: Fit) -> Reply:
        base = self._books.get(request.base, request.base_version)
        if isinstance(base, Unknown):
            return base
        sent = [*request.examples, *request.held]
        if len(sent) > MOST_OWN:
            return Refused(f"{len(sent)} examples are more than {MOST_OWN}.")
        heard = [self._listener.hear(one.text) for one in sent]
        vectors = self._known_vectors(sent, heard)
        own = [Own(said.text, one.topics, said.language or one.language) for one, said in zip(sent, heard, strict=True)]
        count = len(request.examples)
        # In this order, as solving needs much beside them.
        book = OwnBook(base, own[:count], vectors[:count])
        held, kept = vectors[count:].astype(np.float32), tuple(row.tobytes() for row in vectors)
        del vectors
        give_back()
        fitted = Fitted(kept)
        if request.checked:
            check = book.check(request.checked, own[count:], heard[count:], held)
            bits = (check.first, check.answered, check.strange, check.held)
            fitted = Fitted(kept, *(np.packbits(each).tobytes() for each in bits))
        if request.keep:
            self._own.put(request.book, request.version, book.settled())
            self._make_room()
        return fitted

    def _known_vectors(self, sent: Sequence[OwnExample], heard: Sequence[Heard]) -> NDArray[np.float16]:
        """Vectors of messages, as they are kept: those that were sent along, and those that have to be made."""
        width = OF_MESSAGE * DIMENSION
        found = np.zeros((len(sent), width), dtype="<f2")
        new = [at for at, one in enumerate(sent) if len(one.vectors) != 2 * width]
        for at, one in enumerate(sent):
            if len(one.vectors) == 2 * width:
                found[at] = np.frombuffer(one.vectors, dtype="<f2")
        if new:
            found[new] = in_batches(self._embedder, [heard[at].text for at in new])
        return found

    def _make_room(self) -> None:
        """Forget what was asked for the longest ago until the rest fits; the last of each kind stays."""
        kinds: tuple[_Kept[Shelf] | _Kept[Book] | _Kept[OwnBook], ...] = (self._shelves, self._books, self._own)
        while sum(kind.size for kind in kinds) > _ROOM:
            larger = max(kinds, key=lambda kind: kind.size if len(kind.entries) > 1 else -1)
            if not larger.forget_oldest():
                return


def _packed(vectors: Floats) -> Vectors:
    return Vectors(vectors.shape[1], tuple(row.astype("<f4").tobytes() for row in vectors))


@dataclass(slots=True)
class _Waiting:
    """A request that somebody waits for, until `until` by the loop's clock."""

    request: Ask | Search | Embed
    until: float
    reply: asyncio.Future[Reply]


class Server:
    """Takes requests from the socket to the two threads and replies back."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._quick = ThreadPoolExecutor(1, "questions")
        self._patient = ThreadPoolExecutor(1, "passages")
        self._talks: set[asyncio.Task[None]] = set()

    async def serve(self, path: Path, stop: asyncio.Event) -> None:
        """Listen until `stop` is set. Raises SetupError when another process listens there."""
        listening = await asyncio.start_unix_server(self._talk, sock=_bound(path))
        answering = asyncio.create_task(self._answer())
        try:
            async with listening:
                await stop.wait()
        finally:
            answering.cancel()
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(answering, *self._talks, return_exceptions=True)
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - of a socket, at the end: nothing waits
            self._quick.shutdown(wait=False, cancel_futures=True)
            self._patient.shutdown(wait=False, cancel_futures=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        replying: set[asyncio.Task[None]] = set()
        try:
            while True:
                asked = await frames.read_asked(reader)
                one = asyncio.create_task(self._reply(asked, writer))
                replying.add(one)
                one.add_done_callback(replying.discard)
        except (EOFError, OSError):
            pass
        except Broken as error:
            log.warning("language_frame_refused", error=str(error))
        finally:
            for one in replying:
                one.cancel()
            writer.close()
            self._talks.discard(task)

    async def _reply(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await self._handled(asked)
        except Exception:  # One question that breaks a model must not end the answers to all others.
            log.exception("language_failed", request=type(asked.request).__name__)
            reply = Refused("It failed; the log of the language process says why.")
        with contextlib.suppress(OSError):
            writer.write(frames.write(Replied(asked.number, reply)))
            await writer.drain()

    async def _handled(self, asked: Asked) -> Reply:
        loop, request = asyncio.get_running_loop(), asked.request
        if isinstance(request, Ping):
            return self._library.pong()
        if isinstance(request, Prepare | Stock | Teach | Fit) or (
            isinstance(request, Embed) and request.kind == "passage"
        ):
            return await loop.run_in_executor(self._patient, self._library.patiently, request)
        until = loop.time() + asked.milliseconds / 1000 if asked.milliseconds else float("inf")
        waiting = _Waiting(request, until, loop.create_future())
        self._queue.put_nowait(waiting)
        return await waiting.reply

    async def _answer(self) -> None:
        """Take what waits, all at once, as long as somebody waits for it."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch = [one for one in batch if one.until > loop.time() and not one.reply.done()]
            if not batch:
                continue
            try:
                replies = await loop.run_in_executor(self._quick, self._library.quickly, [one.request for one in batch])
            except Exception as error:  # The same for a batch.
                _fail(batch, error)
                continue
            for one, reply in zip(batch, replies, strict=True):
                if not one.reply.done():
                    one.reply.set_result(reply)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for one in batch:
        if not one.reply.done():
            one.reply.set_exception(error)


def _bound(path: Path) -> socket.socket:
    """A socket that only this user may connect to. One that nobody listens at any more is taken over."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            pass
        except OSError:
            path.unlink(missing_ok=True)
        else:
            raise SetupError(f"A language process runs already at {path}.")
    bound = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError as error:
        bound.close()
        raise SetupError(
            f"{path} cannot be listened at ({error.strerror or error}): AHLAN_LANGUAGE_SOCKET names another."
        ) from error
    finally:
        os.umask(mask)
    return bound


async def run(path: Path, stop: asyncio.Event, kept: KeptVectors) -> None:
    """Load the models and answer until `stop` is set."""
    library = await asyncio.to_thread(lambda: Library(E5Embedder(), Listener(), kept))
    # What it took to read the model.
    give_back()
    await Server(library).serve(path, stop)
