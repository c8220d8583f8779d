"""Two web processes and Valkey between them: whatever dies or is cut, in whatever order, every view ends as the table.

Real processes, killed with -9; real sockets, cut without a word. Schedules are Hypothesis's; `AHLAN_RECONNECTS=50`
tries as many, `AHLAN_CUT_SECONDS=60` cuts for up to a minute, `AHLAN_PANELS=40` opens as many panels beside them.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import websockets
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from admin_ui.auth import hash_password
from plugin import bootstrap, stores, team, workspaces
from plugin.kernel import embedded
from plugin.kernel.config import Settings
from plugin.kernel.crypto import new_master_key
from plugin.kernel.embedded import Servers
from plugin.platform import StoreProfile
from plugin.processes import Child
from plugin.team import Role
from tests.journeys.panels import OpenPanel

EXAMPLES = int(os.environ.get("AHLAN_RECONNECTS", "2"))
CUT_SECONDS = float(os.environ.get("AHLAN_CUT_SECONDS", "2"))
PANELS = int(os.environ.get("AHLAN_PANELS", "6"))
PATIENCE = 90
ORIGIN = "https://reconnects.example"
EMAIL, PASSWORD = "noa@reconnects.example", "a long and quiet evening"
TABS = 2

Step = tuple[str, int, float]
"""What happens, to or by whom, and how long until the next thing."""

WORDS, HARM = ("shopper", "agent"), ("cut", "move", "web", "valkey")


def _steps(what: tuple[str, ...]) -> st.SearchStrategy[Step]:
    return st.tuples(st.sampled_from(what), st.integers(0, 1), st.sampled_from([0.0, 0.05, 0.2, 0.6]))


_rounds = st.lists(st.tuples(_steps(WORDS), _steps(HARM), _steps(WORDS)), min_size=2, max_size=5)
_schedules = _rounds.map(lambda rounds: [step for one in rounds for step in one])


@dataclass
class Pair:
    """The two processes, their Valkey, and an agent who is signed in."""

    servers: Servers
    webs: list[Child]
    urls: list[str]
    store_key: str
    agent: httpx.AsyncClient

    async def ready(self) -> None:
        """Until both processes answer, with both servers behind them."""
        async with httpx.AsyncClient(timeout=3) as http, asyncio.timeout(PATIENCE):
            for url in self.urls:
                while not await _answers(http, url):
                    await asyncio.sleep(0.1)

    def kill(self, what: str, which: int) -> None:
        """With -9; somebody who is down already stays as they are."""
        with contextlib.suppress(Exception):
            pid = self.webs[which].pid if what == "web" else self.servers.valkey_pid
            if pid is not None:
                os.kill(pid, signal.SIGKILL)


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    data_dir = Path(tempfile.mkdtemp(prefix="ahlan-reconnects-"))
    servers = await embedded.start(data_dir)
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    keys = new_master_key("reconnects")
    environment = {
        "AHLAN_DATA_DIR": str(data_dir),
        # One address for both, as a proxy in front of them gives: a socket's Origin is checked against it.
        "AHLAN_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
        "AHLAN_LOG_LEVEL": "error",
        "AHLAN_ENCRYPTION_KEYS": keys,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
    }
    webs = [Child(f"web {port}", ["plugin", "serve"], {**environment, "AHLAN_PORT": str(port)}) for port in ports]
    agent = httpx.AsyncClient(
        timeout=5, headers={"sec-fetch-site": "same-origin"}, limits=httpx.Limits(max_connections=None)
    )
    made = Pair(servers, webs, [f"http://127.0.0.1:{port}" for port in ports], "", agent)
    try:
        made.store_key = await _a_store(Settings(data_dir=data_dir, encryption_keys=(keys,)), servers)
        await asyncio.gather(*(web.start() for web in webs))
        await made.ready()
        await _sign_in(made)
        yield made
    finally:
        await agent.aclose()
        await asyncio.gather(*(web.stop() for web in webs))
        await servers.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


async def _a_store(settings: Settings, servers: Servers) -> str:
    async with bootstrap.start(settings, database_url=servers.database_url, redis_url=servers.redis_url) as app:
        workspace_id = workspaces.new_workspace_id()
        async with app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, "Reconnects")
            hashed = await hash_password(PASSWORD)
            await team.add(tx, name="Noa", email=EMAIL, role=Role.OWNER, password_hash=hashed)
            await stores.claim(tx, "sign_in", app.vault.fingerprint("email", EMAIL))
            profile = StoreProfile("Reconnects", ORIGIN, (ORIGIN,), "ILS", 2, "Asia/Jerusalem", "he")
            store = await stores.connect(tx, platform="shopify", external_id="re.myshopify.com", profile=profile)
        return store.public_key


async def _sign_in(pair: Pair) -> None:
    page = await pair.agent.get(f"{pair.urls[0]}/sign-in")
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    form = {"email": EMAIL, "password": PASSWORD, "csrf": csrf}
    assert (await pair.agent.post(f"{pair.urls[0]}/sign-in", data=form)).status_code == 303
    page = await pair.agent.get(f"{pair.urls[0]}/panel/settings")
    pair.agent.headers["x-csrf-token"] = page.text.split('"x-csrf-token": "')[1].split('"')[0]


class Tab:
    """One tab of the shopper's browser: it resumes after the last message that it has, through either process."""

    def __init__(self, talk: "Talk", web: int) -> None:
        self.talk = talk
        self.web = web
        self.seen: dict[int, tuple[str, str]] = {}
        self.line: websockets.ClientConnection | None = None
        self.acks: dict[str, asyncio.Event] = {}
        self.offline_until = 0.0

    @property
    def last(self) -> int:
        """Up to which number everything is here."""
        last = 0
        while last + 1 in self.seen:
            last += 1
        return last

    def hear(self, message: dict[str, Any], *, in_turn: bool) -> None:
        """Nothing is told twice as something else; what comes by itself comes in order, without gaps."""
        seq, told = message["seq"], (message["client_id"], message["text"])
        assert self.seen.setdefault(seq, told) == told, f"{seq} was {self.seen[seq]}, now {told}"
        assert not in_turn or self.last >= seq, f"{seq} came when {self.last + 1} was next"

    def cut(self, seconds: float) -> None:
        """The network is gone, without a goodbye."""
        self.offline_until = asyncio.get_running_loop().time() + seconds
        if self.line is not None:
            self.line.transport.abort()

    async def live(self) -> None:
        """Connected whenever it can be; by long polling where no socket can be had."""
        while True:
            await asyncio.sleep(max(0.0, self.offline_until - asyncio.get_running_loop().time()))
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException, httpx.HTTPError):
                await self._connected(self.talk.pair.urls[self.web])
            self.web = 1 - self.web
            await asyncio.sleep(random.uniform(0.05, 0.3))

    async def _connected(self, url: str) -> None:
        answer = await self.talk.http.post(f"{url}/widget/ticket", headers=self.talk.headers)
        if answer.status_code == 401:
            await self.talk.open(url)
            return
        if answer.status_code != 200:
            page = await self.talk.http.get(
                f"{url}/widget/messages", params={"after": self.last, "wait": 1}, headers=self.talk.headers
            )
            for message in page.json()["messages"] if page.status_code == 200 else ():
                self.hear(message, in_turn=True)
            return
        address = f"{url.replace('http', 'ws', 1)}/widget/socket?ticket={answer.json()['ticket']}&after={self.last}"
        origin = websockets.Origin(self.talk.pair.urls[0])
        async with websockets.connect(address, origin=origin, open_timeout=3, close_timeout=0.2) as self.line:
            try:
                async for text in self.line:
                    frame = json.loads(text)
                    if frame["type"] in ("message", "ack"):
                        self.hear(frame["message"], in_turn=frame["type"] == "message")
                    if frame["type"] == "ack" and frame["client_id"] in self.acks:
                        self.acks[frame["client_id"]].set()
            finally:
                self.line = None

    async def send(self, client_id: str, text: str) -> bool:
        """Over the socket; False when no ack came."""
        line = self.line
        if line is None:
            return False
        acked = self.acks[client_id] = asyncio.Event()
        with contextlib.suppress(websockets.WebSocketException, TimeoutError):
            await line.send(json.dumps({"type": "message", "client_id": client_id, "text": text, "attachments": []}))
            await asyncio.wait_for(acked.wait(), 2)
        return acked.is_set()


@dataclass
class Talk:
    """A conversation under attack: its shopper in two tabs, an agent, and what was acknowledged."""

    pair: Pair
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=4))
    headers: dict[str, str] = field(default_factory=dict)
    secret: str | None = None
    id: str = ""
    acknowledged: dict[str, str] = field(default_factory=dict)
    tabs: list[Tab] = field(default_factory=list)
    panels: list[OpenPanel] = field(default_factory=list)

    async def open(self, url: str) -> None:
        """Begin or renew the session."""
        body = {"store": self.pair.store_key, "secret": self.secret, "locale": "he"}
        answer = (await self.http.post(f"{url}/widget/session", json=body)).raise_for_status().json()
        self.secret, self.headers = answer["secret"], {"authorization": f"Bearer {answer['token']}"}
        if answer["conversation"]:
            self.id = answer["conversation"]["id"]

    async def says(self, tab: Tab, text: str) -> None:
        """The shopper writes, again under the same id until it is acknowledged, by whichever way there is."""
        client_id = str(uuid4())
        body = {"client_id": client_id, "text": text, "attachments": []}
        while not await tab.send(client_id, text):
            url = random.choice(self.pair.urls)
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.http.post(f"{url}/widget/messages", json=body, headers=self.headers)
                if answer.status_code == 200:
                    break
                assert answer.status_code in (429, 500, 503), answer.text
            await asyncio.sleep(0.2)
        self.acknowledged[client_id] = text

    async def answers(self, which: int, text: str) -> None:
        """The agent writes, in the panel of either process."""
        client_id = str(uuid4())
        while True:
            path = f"{self.pair.urls[which]}/panel/conversations/{self.id}/reply"
            with contextlib.suppress(httpx.HTTPError):
                said = await self.pair.agent.post(path, data={"client_id": client_id, "text": text})
                if said.status_code == 200:
                    break
                assert said.status_code in (500, 503), said.text
            which = 1 - which
            await asyncio.sleep(0.2)
        self.acknowledged[client_id] = text

    async def table(self) -> dict[int, tuple[str, str]]:
        """What was committed."""
        database = await asyncpg.connect(self.pair.servers.database_url)
        try:
            rows = await database.fetch(
                "SELECT seq, client_id, text FROM messages WHERE conversation_id = $1 ORDER BY seq", self.id
            )
        finally:
            await database.close()
        return {row["seq"]: (str(row["client_id"]), row["text"]) for row in rows}


EVERYTHING: list[Step] = [
    ("shopper", 0, 0.1), ("agent", 1, 0.0), ("web", 0, 0.3), ("shopper", 1, 0.0), ("agent", 0, 0.4), ("valkey", 0, 0.1),
    ("shopper", 0, 0.0), ("agent", 1, 0.2), ("cut", 1, 0.1), ("agent", 1, 0.0), ("move", 0, 0.1), ("web", 1, 0.0),
    ("shopper", 1, 0.3), ("agent", 0, 0.0),
]  # fmt: skip


@example(steps=EVERYTHING)
@given(steps=_schedules)
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True,
    # Killed processes do not die the same way twice: a smaller schedule that fails says nothing about this one.
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
async def test_every_view_ends_as_the_table(pair: Pair, steps: list[Step]) -> None:
    await pair.ready()
    talk = Talk(pair)
    await talk.open(pair.urls[0])
    await talk.says(Tab(talk, 0), "שלום 0")
    await talk.open(pair.urls[1])
    talk.tabs = [Tab(talk, number % 2) for number in range(TABS)]
    talk.panels = [OpenPanel(pair.agent, pair.urls, talk.id) for _ in range(PANELS)]
    lives = [asyncio.create_task(view.live()) for view in (*talk.tabs, *talk.panels)]
    words: list[asyncio.Task[None]] = []
    try:
        for number, (what, which, pause) in enumerate(steps, 1):
            match what:
                case "shopper":
                    words.append(asyncio.create_task(talk.says(talk.tabs[which], f"مرحبا {number}")))
                case "agent":
                    words.append(asyncio.create_task(talk.answers(which, f"אהלן {number}")))
                case "cut":
                    for view in (talk.tabs[which], *talk.panels[which::2]):
                        view.cut(random.uniform(0.1, CUT_SECONDS))
                case "move":
                    talk.tabs[which].cut(0.0)
                case _:
                    pair.kill(what, which)
            await asyncio.sleep(pause)
        await asyncio.wait_for(asyncio.gather(*words), PATIENCE)
        table = await talk.table()
        await _until_all_have(talk, lives, len(table))
    finally:
        for task in (*lives, *words):
            task.cancel()
        await asyncio.gather(*lives, *words, return_exceptions=True)
        await talk.http.aclose()
    assert list(table) == list(range(1, len(table) + 1)), "numbers without gaps"
    assert dict(table.values()) == talk.acknowledged, "all that was acknowledged, and each once"
    assert len(table) == len(talk.acknowledged)
    for tab in talk.tabs:
        assert tab.seen == table
    for panel in talk.panels:
        assert panel.lines == [(seq, client_id) for seq, (client_id, _text) in table.items()]


async def _until_all_have(talk: Talk, lives: list[asyncio.Task[None]], last: int) -> None:
    until = asyncio.get_running_loop().time() + PATIENCE + CUT_SECONDS
    while behind := [
        *(f"tab {number}: {tab.last}" for number, tab in enumerate(talk.tabs) if tab.last < last),
        *(f"panel {number}: {panel}" for number, panel in enumerate(talk.panels) if len(panel.shown) < last),
    ]:
        for task in lives:
            if task.done():
                task.result()
        assert asyncio.get_running_loop().time() < until, f"not at {last}: {behind}"
        await asyncio.sleep(0.05)
