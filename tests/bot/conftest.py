"""A shop with a bot that is on, articles, shoppers who write, and models that say what a test wants them to."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.bot import bots
from plugin.bot.bots import Bot
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Shopper
from plugin.conversations.messages import Message
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.language.client import Language
from plugin.language.frames import (
    Answered,
    Ask,
    Hit,
    Hits,
    Ping,
    Pong,
    Prepare,
    Prepared,
    Replied,
    Reply,
    Request,
    Search,
    Stock,
    Taught,
    Teach,
    Topic,
    Unknown,
    read_asked,
    write,
)
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.conversations.conftest import make_shopper as make_shopper
from tests.conversations.conftest import noa as noa
from tests.conversations.conftest import omar as omar
from tests.conversations.conftest import shopper as shopper
from tests.conversations.conftest import store as store
from tests.knowledge.conftest import Write
from tests.knowledge.conftest import article as article

SURE, UNSURE, OUTSIDE = 2.0, 0.5, -1.0
ANSWER_FROM, OFFER_FROM = 1.0, 0.0


@dataclass
class Models:
    """At the other end of the socket: reads what it is asked, answers what a test told it; the rest is outside."""

    known: dict[str, tuple[float, tuple[str, ...], str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    taught: list[str] = field(default_factory=list)
    forgets: bool = False
    near: dict[str, list[Hit]] = field(default_factory=dict)

    def means(self, text: str, *articles: tuple[UUID, str, float]) -> None:
        """From now on `text` means these articles, the nearest first: (id, language, cosine)."""
        self.near[text] = [
            Hit(f"{id}:{language}", 3.0 - at, language, likeness)
            for at, (id, language, likeness) in enumerate(articles)
        ]

    def reads(self, text: str, *topics: str, gate: float = SURE, heard: str = "") -> None:
        """From now on `text` is about these topics, the likeliest first. `heard`: it is Arabizi for this."""
        self.known[text] = (gate, topics, heard)

    def answer(self, request: Request) -> Reply:
        """One request."""
        if isinstance(request, Ping):
            return Pong(1, 1, 0, 1)
        if isinstance(request, Teach):
            self.taught.append(request.version)
            self.forgets = False
            return Taught(len(request.examples), 0.9)
        if isinstance(request, Prepare):
            return Prepared(tuple(b"" for _passage in request.passages))
        if isinstance(request, Stock):
            return Prepared(())
        if isinstance(request, Search):
            return Hits(tuple(self.near.get(request.text, ())), request.text, False, "1")
        assert isinstance(request, Ask)
        if self.forgets:
            return Unknown("")
        self.asked.append(request.text)
        gate, topics, heard = self.known.get(request.text, (OUTSIDE, ("wholesale", "customs"), ""))
        scored = tuple(Topic(topic, 1.0 - at / 10) for at, topic in enumerate(topics))
        language = "ar" if heard else None
        return Answered(scored, 0.9, gate, ANSWER_FROM, OFFER_FROM, heard or request.text, language, bool(heard))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(EOFError, OSError):
            while True:
                asked = await read_asked(reader)
                writer.write(write(Replied(asked.number, self.answer(asked.request))))
                await writer.drain()
        writer.close()


@pytest.fixture
def models() -> Models:
    """Models that are there and know nothing yet."""
    return Models()


@pytest.fixture
async def thinking(app: App, models: Models) -> AsyncIterator[App]:
    """The App with those models in place of a language process."""
    with tempfile.TemporaryDirectory(prefix="ahlan-b-") as folder:
        path = Path(folder) / "l.sock"
        server = await asyncio.start_unix_server(models.serve, str(path))
        client = Language(path)
        yield replace(app, language=client)
        await client.close()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def maya(app: App, workspace: UUID) -> Agent:
    """Who may change settings, and publish."""
    async with app.db.transaction(workspace) as tx:
        agent = Agent(id=new_id(), name="Maya", email=f"{uuid4().hex}@shop.example", role=Role.ADMIN)
        tx.add(agent)
    return agent


async def set_bot(app: App, workspace: UUID, store: Store, by: Agent, **values: object) -> Bot:
    """A bot that is on, set like this."""
    async with app.db.transaction(workspace) as tx:
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        for name, value in {"enabled": True, **values}.items():
            setattr(bot, name, value)
        await bots.save(tx, bot, before, by=by, languages=app.catalogues.codes)
    return bot


@pytest.fixture
async def bot(app: App, workspace: UUID, store: Store, maya: Agent) -> Bot:
    """The store's bot, on."""
    return await set_bot(app, workspace, store, maya)


@pytest.fixture
async def shop(article: Write) -> dict[str, UUID]:
    """A small help centre."""
    return {
        "delivery": await article(
            en=("How long does delivery take, and what does it cost?", "Parcels arrive in five days. It costs 25 SAR."),
            ar=("كم يستغرق التوصيل وكم يكلف؟", "تصل الطرود خلال خمسة أيام، والتكلفة 25 ريالًا."),
            he=("כמה זמן לוקח משלוח וכמה הוא עולה?", "חבילות מגיעות תוך חמישה ימים. המחיר 25 ריאל."),
        ),
        "engraving": await article(
            en=("Engraving rings", "We engrave up to ten letters on rings. It takes two days.\nNot on chains."),
        ),
    }


class Chat:
    """A shopper in the chat: says something, and gets what follows."""

    def __init__(self, app: App, workspace: UUID, shopper: Shopper) -> None:
        self.app, self.workspace, self.shopper = app, workspace, shopper

    async def say(self, text: str) -> Message | None:
        """Write, let the jobs run, and get the bot's answer behind it; None when it says nothing."""
        await self.write(text)
        return await self.settle()

    async def write(self, text: str) -> None:
        """Write, and nothing else."""
        async with self.app.db.transaction(self.workspace) as tx:
            await messages.receive(tx, self.shopper, uuid4(), text)

    async def settle(self) -> Message | None:
        """Let the jobs run; the answer behind the last message."""
        await settle(self.app, self.workspace)
        said = await self.thread()
        after = said[max(at for at, one in enumerate(said) if one.author == "shopper") + 1 :]
        return next((one for one in after if one.author == "bot" and one.kind == "message"), None)

    async def settle_first(self) -> None:
        """Let the jobs run that were there before anybody wrote."""
        await settle(self.app, self.workspace)

    async def thread(self) -> list[Message]:
        """Everything, notes too."""
        async with self.app.db.transaction(self.workspace) as tx:
            head = await conversations.current(tx, self.shopper)
            assert head is not None
            return await messages.thread(tx, head.id)

    async def talk(self) -> conversations.Conversation:
        """The conversation as it is now."""
        async with self.app.db.transaction(self.workspace) as tx:
            head = await conversations.current(tx, self.shopper)
            assert head is not None
            found = await tx.get(conversations.Conversation, head.id)
            assert found is not None
            return found


async def settle(app: App, workspace: UUID) -> None:
    """Run every job that is due; a rule's starter set and the counting of topics, which teaches too, are left out."""
    tasks = {**TASKS, **dict.fromkeys(("plant_rules", "count_topic"), _leave_out)}
    await jobs.drain(app.db, app, tasks, workspace_id=workspace)


async def _leave_out(app: App, workspace_id: UUID, **arguments: object) -> None:
    return None


@pytest.fixture
async def chat(thinking: App, workspace: UUID, shopper: Shopper, bot: Bot) -> Chat:
    """A shopper in the chat of a shop whose bot is on."""
    return Chat(thinking, workspace, shopper)


MakeChat = Callable[[], Awaitable[Chat]]
