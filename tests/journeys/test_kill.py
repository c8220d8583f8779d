"""Nothing acknowledged is lost or doubled, whoever is killed: web, worker, Valkey, PostgreSQL, with -9, in turn.

A whole installation in processes of its own, as an operator runs it. `AHLAN_KILL_ROUNDS=5` makes it twenty kills.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import websockets

from plugin import bootstrap, stores, workspaces
from plugin.kernel import embedded
from plugin.kernel.config import Settings
from plugin.kernel.crypto import new_master_key
from plugin.kernel.embedded import Servers
from plugin.platform import StoreProfile
from plugin.processes import Child

ROUNDS = int(os.environ.get("AHLAN_KILL_ROUNDS", "1"))
SECRET = "a-secret-of-the-kill-test"
SHOP = "killed.myshopify.com"
ORIGIN = "https://killed.example"
VICTIMS = ("web", "worker", "valkey", "postgres")
SENDERS, CHATS, SOCKETS = 4, 4, 2
# What a killed worker had in hand comes back when its lease ends.
SETTLED_SECONDS = 40
# A Python that starts on a busy machine takes long; nobody waits this long on a quiet one.
PATIENCE = 60


@dataclass
class Installation:
    """The processes, and what the world outside was told."""

    servers: Servers
    children: dict[str, Child]
    url: str
    store_key: str = ""
    orders: list[int] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, list[int]] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def pid(self, name: str) -> int | None:
        """The process to kill; None while it is down."""
        if name in self.children:
            return self.children[name].pid
        with contextlib.suppress(Exception):
            return self.servers.postgres_pid if name == "postgres" else self.servers.valkey_pid
        return None


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    # Not pytest's own folder: it is closed to the servers' user again whenever another run begins.
    data_dir = Path(tempfile.mkdtemp(prefix="ahlan-kill-"))
    servers = await embedded.start(data_dir)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    keys = new_master_key("kill")
    environment = {
        "AHLAN_DATA_DIR": str(data_dir),
        "AHLAN_PORT": str(port),
        "AHLAN_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "AHLAN_LOG_LEVEL": "warning",
        "AHLAN_ENCRYPTION_KEYS": keys,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "SHOPIFY_API_KEY": "kill-client",
        "SHOPIFY_API_SECRET": SECRET,
    }
    commands = {"web": "serve", "worker": "worker"}
    children = {name: Child(name, ["plugin", command], environment) for name, command in commands.items()}
    made = Installation(servers, children, f"http://127.0.0.1:{port}")
    settings = Settings(data_dir=data_dir, encryption_keys=(keys,))
    try:
        made.store_key = await _a_store(settings, servers)
        await asyncio.gather(*(child.start() for child in children.values()))
        async with httpx.AsyncClient(base_url=made.url) as http, asyncio.timeout(PATIENCE):
            while not await _answers(http):
                await asyncio.sleep(0.1)
        yield made
    finally:
        await asyncio.gather(*(child.stop() for child in children.values()))
        await servers.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


async def _a_store(settings: Settings, servers: Servers) -> str:
    """A connected store without anything to fetch: this test is about what comes in."""
    async with bootstrap.start(settings, database_url=servers.database_url, redis_url=servers.redis_url) as app:
        workspace_id = workspaces.new_workspace_id()
        async with app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, "Killed")
            profile = StoreProfile("Killed", ORIGIN, (ORIGIN,), "ILS", 2, "Asia/Jerusalem", "he")
            store = await stores.connect(tx, platform="shopify", external_id=SHOP, profile=profile)
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute("UPDATE jobs SET done_at = now() WHERE task IN ('check_store', 'start_backfill')")
    await admin.close()
    return store.public_key


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


# The world outside


def _order(number: int) -> bytes:
    moment = "2026-11-02T10:00:00Z"
    customer = {
        "id": number, "admin_graphql_api_id": f"gid://shopify/Customer/{number}", "updated_at": moment,
        "email": f"shopper{number}@example.com", "first_name": "ليلى", "last_name": "חדד",
    }  # fmt: skip
    return json.dumps(
        {
            "id": number,
            "admin_graphql_api_id": f"gid://shopify/Order/{number}",
            "name": f"#{number}",
            "created_at": moment,
            "updated_at": moment,
            "currency": "ILS",
            "total_price": "120.50",
            "email": customer["email"],
            "financial_status": "paid",
            "fulfillment_status": None,
            "customer": customer,
            "line_items": [{"id": number, "title": "قدح", "quantity": 1, "price": "120.50", "variant_id": 5}],
        }
    ).encode()


async def deliver(installation: Installation, numbers: "itertools.count[int]") -> None:
    """A platform: one delivery after another, each again under the same id until it is taken, some once more."""
    async with httpx.AsyncClient(base_url=installation.url, timeout=6) as http:
        while not installation.over.is_set():
            number = next(numbers)
            body = _order(number)
            headers = {
                "x-shopify-hmac-sha256": base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode(),
                "x-shopify-topic": "orders/create",
                "x-shopify-shop-domain": SHOP,
                "x-shopify-api-version": "2026-10",
                "x-shopify-webhook-id": str(uuid4()),
                "x-shopify-triggered-at": "2026-11-02T10:00:01Z",
                "content-type": "application/json",
            }
            for _ in range(2 if number % 10 == 0 else 1):
                while await _status(http, "/webhooks/shopify", content=body, headers=headers) != 200:
                    await asyncio.sleep(0.05)
            installation.orders.append(number)
            await asyncio.sleep(0.05)


async def _status(http: httpx.AsyncClient, path: str, **request: Any) -> int:
    try:
        return (await http.post(path, **request)).status_code
    except httpx.HTTPError:
        return 0


class Shopper:
    """A browser: its secret survives everything, its session is opened again when it has to be."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.http = httpx.AsyncClient(base_url=installation.url, timeout=6)
        self.secret: str | None = None
        self.name = str(uuid4())

    async def open(self) -> None:
        """Begin a session, however long it takes."""
        body = {"store": self.installation.store_key, "secret": self.secret, "locale": "he"}
        answer = await self.insist("/widget/session", body)
        self.secret = answer["secret"]
        self.http.headers["authorization"] = f"Bearer {answer['token']}"

    async def insist(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST until it is answered with 200."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.http.post(path, json=body)
                if answer.status_code == 200:
                    return answer.json()
                assert answer.status_code in (429, 500, 503), answer.text
            await asyncio.sleep(0.1)

    def next_text(self) -> str:
        """Something that nobody said before."""
        return f"{self.name} {len(self.installation.said.setdefault(self.name, [])) + 1} שלום"

    async def write(self) -> None:
        """Over HTTP."""
        await self.open()
        while not self.installation.over.is_set():
            text = self.next_text()
            body = {"client_id": str(uuid4()), "text": text, "attachments": []}
            answer = await self.insist("/widget/messages", body)
            assert answer["message"]["text"] == text
            self.installation.said[self.name].append(text)
            await asyncio.sleep(random.uniform(1.0, 1.4))
        await self.http.aclose()

    async def talk(self) -> None:
        """Over the socket: one message after another, each again until its ack; every line must come once, in order."""
        await self.open()
        seen = self.installation.seen.setdefault(self.name, [])
        waiting: tuple[str, str] | None = None
        while not self.installation.over.is_set() or waiting:
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException, httpx.HTTPError):
                answer = await self.http.post("/widget/ticket")
                if answer.status_code != 200:
                    await asyncio.sleep(0.2)
                    continue
                address = self.installation.url.replace("http", "ws", 1)
                after = seen[-1] if seen else 0
                async with websockets.connect(
                    f"{address}/widget/socket?ticket={answer.json()['ticket']}&after={after}",
                    origin=websockets.Origin(self.installation.url), open_timeout=3,
                ) as line:  # fmt: skip
                    while not self.installation.over.is_set() or waiting:
                        waiting = waiting or (str(uuid4()), self.next_text())
                        client_id, text = waiting
                        frame = {"type": "message", "client_id": client_id, "text": text, "attachments": []}
                        await line.send(json.dumps(frame))
                        await self._until_ack(line, client_id, seen)
                        self.installation.said[self.name].append(text)
                        waiting = None
                        await asyncio.sleep(random.uniform(1.0, 1.4))
            await asyncio.sleep(0.1)
        await self._hear_the_rest(seen)
        await self.http.aclose()

    async def _until_ack(self, line: websockets.ClientConnection, client_id: str, seen: list[int]) -> None:
        async with asyncio.timeout(3):
            while True:
                frame = json.loads(await line.recv())
                if frame["type"] in ("message", "ack"):
                    _hear(seen, frame["message"]["seq"])
                if frame["type"] == "ack" and frame["client_id"] == client_id:
                    return

    async def _hear_the_rest(self, seen: list[int]) -> None:
        answer = (await self.http.get("/widget/messages", params={"after": seen[-1] if seen else 0})).json()
        for message in answer["messages"]:
            _hear(seen, message["seq"])


def _hear(seen: list[int], seq: int) -> None:
    """What was heard before may come again, for example as the ack of a resend; a gap may not."""
    if seen and seq <= seen[-1]:
        return
    assert seq == (seen[-1] if seen else 0) + 1, f"{seq} after {seen[-1:]}"
    seen.append(seq)


# The killer


async def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def _kill(installation: Installation, victim: str) -> None:
    """Kill one process under load; go on when it is back and orders are taken again."""
    before = installation.pid(victim)
    assert before is not None, f"{victim} is down before it was killed"
    os.kill(before, signal.SIGKILL)
    await _until(lambda: installation.pid(victim) not in (None, before), PATIENCE, f"{victim} is not started again")
    taken = len(installation.orders)
    await _until(
        lambda: len(installation.orders) >= taken + 2 * SENDERS, PATIENCE, f"nothing is taken after {victim} died"
    )
    await asyncio.sleep(random.uniform(0.2, 0.8))


async def test_every_acknowledged_webhook_and_message_is_there_once(installation: Installation) -> None:
    numbers = itertools.count(1)
    shoppers = [Shopper(installation) for _ in range(CHATS + SOCKETS)]
    world = [asyncio.create_task(deliver(installation, numbers)) for _ in range(SENDERS)]
    world += [asyncio.create_task(shopper.write()) for shopper in shoppers[:CHATS]]
    world += [asyncio.create_task(shopper.talk()) for shopper in shoppers[CHATS:]]
    await _until(
        lambda: len(installation.orders) > 20 and len(installation.said) == len(shoppers), PATIENCE, "no start"
    )
    for _ in range(ROUNDS):
        for victim in VICTIMS:
            await _kill(installation, victim)
            for task in world:
                if task.done():
                    task.result()
    installation.over.set()
    await asyncio.wait_for(asyncio.gather(*world), PATIENCE)

    database = await asyncpg.connect(installation.servers.database_url)
    try:
        deadline = time.monotonic() + SETTLED_SECONDS
        while await database.fetchval("SELECT count(*) FROM webhook_inbox WHERE done_at IS NULL AND parked_at IS NULL"):
            assert time.monotonic() < deadline, "webhooks still wait"
            await asyncio.sleep(0.1)
        await _every_order_once(database, installation)
        await _every_message_once(database, installation)
    finally:
        await database.close()


async def _every_order_once(database: Any, installation: Installation) -> None:
    parked = await database.fetch("SELECT topic, error FROM webhook_inbox WHERE parked_at IS NOT NULL")
    assert parked == []
    orders = [row["external_id"] for row in await database.fetch("SELECT external_id FROM orders")]
    # Some that were never acknowledged may be there too: the answer was lost, not the order.
    expected = {f"gid://shopify/Order/{number}" for number in installation.orders}
    assert expected - set(orders) == set()
    assert len(orders) == len(set(orders))
    placed = await database.fetch("SELECT subject_id, count(*) FROM events WHERE kind = 'order.placed' GROUP BY 1")
    assert len(placed) == len(orders)
    assert {row["count"] for row in placed} == {1}
    customers = await database.fetch("SELECT orders_count FROM customers WHERE email LIKE 'shopper%'")
    assert [row["orders_count"] for row in customers] == [1] * len(orders)


async def _every_message_once(database: Any, installation: Installation) -> None:
    found: dict[str, list[tuple[int, str]]] = {}
    for row in await database.fetch("SELECT text, seq, conversation_id FROM messages ORDER BY conversation_id, seq"):
        found.setdefault(row["conversation_id"], []).append((row["seq"], row["text"]))
    by_name = {messages[0][1].partition(" ")[0]: messages for messages in found.values()}
    assert len(by_name) == len(found) == CHATS + SOCKETS
    for name, said in installation.said.items():
        assert [text for _seq, text in by_name[name]] == said
        assert [seq for seq, _text in by_name[name]] == list(range(1, len(said) + 1))
    for name, seen in installation.seen.items():
        assert seen == list(range(1, len(by_name[name]) + 1))
    received = await database.fetchval("SELECT count(*) FROM events WHERE kind = 'message.received'")
    assert received == sum(len(said) for said in installation.said.values())
