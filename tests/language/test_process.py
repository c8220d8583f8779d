"""The language process: what it answers, what it forgets, and that nobody waits for it when it is away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from plugin.kernel.errors import SetupError
from plugin.language import server
from plugin.language.book import Heard
from plugin.language.client import SECONDS, Away, Language, NotStocked
from plugin.language.frames import MOST_BYTES, Ask, Asked, Embed, ExampleIn, PassageIn, Stock, Teach, write
from plugin.language.place import ENVIRONMENT
from plugin.language.server import Library, Server
from plugin.language.shelf import WIDTH
from tests.language.stand_in import WordEmbedder

PASSAGES = (
    PassageIn("ship", "Delivery takes three days. It costs twenty riyals.", "en"),
    PassageIn("return", "Send it back within fourteen days and get a refund.", "en"),
)
EXAMPLES = tuple(
    ExampleIn(text, topic, "en")
    for topic, texts in {
        "track": ("where is my order", "track my order", "where is my parcel"),
        "return": ("return a dress", "refund please", "send it back"),
    }.items()
    for text in texts
)


class AsItIs:
    """Hears what was typed."""

    def hear(self, text: str) -> Heard:
        """The text itself."""
        return Heard(text, "en", arabizi=False)


class Slow(WordEmbedder):
    """Takes its time with passages, and counts what it is asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.seconds = 0.0

    def messages(self, texts):
        """As `Embedder` says, later."""
        self.batches.append(len(texts))
        time.sleep(self.seconds)
        return super().messages(texts)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ahlan-l-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def until_there(client: Language) -> None:
    """Wait until it answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.ping()
            except Away:
                await asyncio.sleep(0.05)
            else:
                return


@asynccontextmanager
async def served(folder: Path, embedder: WordEmbedder | None = None) -> AsyncIterator[Language]:
    stop = asyncio.Event()
    path = folder / "l.sock"
    library = Library(embedder or WordEmbedder(), AsItIs())
    serving = asyncio.create_task(Server(library).serve(path, stop))
    client = Language(path)
    await until_there(client)
    try:
        yield client
    finally:
        await client.close()
        stop.set()
        await serving


async def test_who_teaches_what_was_learnt_meanwhile_waits_for_nothing(folder: Path) -> None:
    embedder = Slow()
    async with served(folder, embedder) as client:
        both = await asyncio.gather(*(client.teach(Teach("b", "1", EXAMPLES)) for _time in range(2)))
        assert both[0] == both[1]
        learnt = list(embedder.batches)
        assert sum(learnt) == len({one.text for one in EXAMPLES}) + 2, "each example and topic once"
        await client.teach(Teach("b", "2", EXAMPLES))
        assert len(embedder.batches) == 2 * len(learnt), "another version is another book"


async def test_what_was_stocked_is_found_and_vectors_are_made_once(folder: Path) -> None:
    embedder = WordEmbedder()
    async with served(folder, embedder) as client:
        made = await client.stock(Stock("s", "1", PASSAGES))
        assert [len(own) % WIDTH for own in made.data] == [0, 0]
        assert (await client.search("s", "1", "how do i get a refund", seconds=5)).hits[0].id == "return"
        asked = embedder.asked
        again = tuple(
            PassageIn(one.id, one.text, one.language, (), vectors)
            for one, vectors in zip(PASSAGES, made.data, strict=True)
        )
        await client.stock(Stock("t", "1", again))
        assert embedder.asked == asked
        one, other = [await client.search(name, "1", "refund", seconds=5) for name in ("s", "t")]
        assert one == other


async def test_a_shelf_changes_by_what_is_new(folder: Path) -> None:
    async with served(folder) as client:
        await client.stock(Stock("s", "1", PASSAGES))
        new = PassageIn("gift", "Gift cards are sent by mail.", "en")
        await client.stock(Stock("s", "2", (new,), base="1", gone=("ship",)))
        found = await client.search("s", "2", "gift cards", seconds=5)
        assert [hit.id for hit in found.hits] == ["gift", "return"]
        with pytest.raises(NotStocked) as refused:
            await client.search("s", "1", "gift cards", seconds=5)
        assert refused.value.version == "2"
        with pytest.raises(NotStocked):
            await client.stock(Stock("s", "3", (new,), base="1"))


async def test_topics_that_were_taught_are_told_with_their_gates(folder: Path) -> None:
    async with served(folder) as client:
        taught = await client.teach(Teach("b", "1", EXAMPLES))
        assert taught.examples == len(EXAMPLES)
        answer = await client.ask("b", "1", "where is the order", seconds=5)
        assert answer.topics[0].id == "track"
        assert answer.offer_from <= answer.answer_from
        with pytest.raises(NotStocked):
            await client.ask("b", "2", "where is the order", seconds=5)
        with pytest.raises(ValueError, match="two topics"):
            await client.teach(Teach("b", "2", EXAMPLES[:2]))


async def test_messages_that_wait_are_read_together(folder: Path) -> None:
    embedder = Slow()
    async with served(folder, embedder) as client:
        await client.teach(Teach("b", "1", EXAMPLES))
        embedder.batches.clear()
        embedder.seconds = 0.05
        asked = [client.ask("b", "1", f"where is order {number}", seconds=5) for number in range(8)]
        assert len(await asyncio.gather(*asked)) == 8
        assert sum(embedder.batches) == 8
        assert len(embedder.batches) < 8


async def test_a_slow_answer_is_given_up_in_time_and_the_next_is_its_own(folder: Path) -> None:
    embedder = Slow()
    async with served(folder, embedder) as client:
        await client.teach(Teach("b", "1", EXAMPLES))
        embedder.seconds = 1.0
        began = time.monotonic()
        with pytest.raises(Away):
            await client.ask("b", "1", "where is my order")
        assert time.monotonic() - began < SECONDS + 0.5
        embedder.seconds = 0.0
        answer = await client.ask("b", "1", "refund please", seconds=5)
        assert answer.topics[0].id == "return"


async def test_nobody_there_is_said_at_once(folder: Path) -> None:
    client = Language(folder / "nobody.sock")
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(Away):
            await client.ask("b", "1", "hello")
        assert time.monotonic() - began < SECONDS
    await client.close()


@pytest.mark.parametrize(
    "sent", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x04nope", b"\x00", write(Asked(1, 0, Ask("b", "1", "x")))[:-3]],
    ids=["a frame too long", "no message", "half a length", "half a frame"],
)  # fmt: skip
async def test_a_frame_that_is_none_ends_that_connection_alone(folder: Path, sent: bytes) -> None:
    async with served(folder) as client:
        await client.ping()
        reader, writer = await asyncio.open_unix_connection(str(folder / "l.sock"))
        writer.write(sent)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await client.ping()


def test_a_frame_is_bounded() -> None:
    with pytest.raises(ValueError, match="too long"):
        write(Asked(1, 0, Embed(("x" * MOST_BYTES,), "passage")))


async def test_what_was_not_asked_for_the_longest_is_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(folder) as client:
        await client.stock(Stock("old", "1", PASSAGES))
        monkeypatch.setattr(server, "_ROOM", 1)
        await client.stock(Stock("new", "1", PASSAGES))
        assert (await client.search("new", "1", "refund", seconds=5)).hits
        with pytest.raises(NotStocked) as refused:
            await client.search("old", "1", "refund", seconds=5)
        assert refused.value.version == ""


async def test_the_socket_is_its_users_alone_and_one_process_listens(folder: Path) -> None:
    async with served(folder):
        path = folder / "l.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(SetupError, match="runs already"):
            server._bound(path)
    assert not path.exists()


async def test_a_socket_that_was_left_behind_is_taken_over(folder: Path) -> None:
    bound = server._bound(folder / "l.sock")
    bound.close()
    async with served(folder) as client:
        await client.ping()


async def away_in_time(client: Language) -> None:
    """A shopper does not wait: half a second more is for a machine that is busy."""
    began = time.monotonic()
    with pytest.raises(Away):
        await client.ask("b", "1", "where is my order")
    assert time.monotonic() - began < SECONDS + 0.5


async def test_the_process_itself_understands_three_languages_and_its_death_costs_nobody_time(folder: Path) -> None:
    """The real models: taught in a few words, asked in others, then killed."""
    path = folder / "l.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "plugin.language",
        env={**os.environ, **ENVIRONMENT, "AHLAN_LANGUAGE_SOCKET": str(path), "AHLAN_LOG_LEVEL": "error"},
    )  # fmt: skip
    client = Language(path)
    try:
        await until_there(client)
        texts = {
            "track": ("where is my order", "when will my parcel arrive", "وين طلبي", "متى توصل الشحنة",
                      "איפה ההזמנה שלי"),
            "return": ("how do i return this", "i want my money back", "أبي أرجع الفستان", "عايز أرجع المنتج",
                       "איך מחזירים מוצר"),
            "pay": ("which cards do you take", "can i pay in cash", "كيف أدفع", "تقبلون الدفع عند الاستلام",
                    "אפשר לשלם באשראי"),
        }  # fmt: skip
        examples = tuple(ExampleIn(one, topic, "") for topic, lines in texts.items() for one in lines)
        await client.teach(Teach("b", "1", examples))
        for text, topic in {
            "has my package been sent": "track", "wen saret el tlabiyye": "track", "متى يجي الطرد": "track",
            "3ayez araga3 el fostan": "return", "רוצה להחזיר שמלה": "return", "do you accept visa": "pay",
        }.items():  # fmt: skip
            answer = await client.ask("b", "1", text, seconds=10)
            assert answer.topics[0].id == topic, text
        long = await client.ask("b", "1", "where is my order " * 1200, seconds=20)
        assert long.topics[0].id == "track"
        for odd in ("👍👍👍", "\u202e\u2066\u200f", "\ud83d", "\0", "where is my \u202eredro"):
            assert np.isfinite((await client.ask("b", "1", odd.encode("utf-8", "replace").decode(), seconds=10)).gate)
        assert (await client.ping()).megabytes < 400
        process.send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(client.ask("b", "1", "where did you send it", seconds=10))
        await away_in_time(client)
        process.kill()
        with pytest.raises(Away):
            await waiting
        await away_in_time(client)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await client.close()
