"""The widget's server on a real port, a store that it serves, and browsers that speak its protocol."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
import websockets
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.middleware import Middleware

import plugin.widget.routes as widget_routes
from plugin import stores
from plugin.app import App
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation
from plugin.kernel.db import new_id
from plugin.kernel.sockets import Sockets
from plugin.kernel.web import RequestId, Web
from plugin.platform import Connection, ShopperIdentity, StoreProfile
from plugin.realtime import Hub
from plugin.stores import Store
from plugin.team import Agent, Role

SHOP = "https://dukkan.example"


class Vouching:
    """What the widget asks a platform: `signed:<customer>` is a good token, all else is not."""

    async def account_sign_in(self, connection: Connection) -> str:
        return "/elsewhere/sign-in"

    async def account_identity(self, token: str) -> ShopperIdentity | None:
        return None

    async def shopper_identity(self, connection: Connection, token: str) -> ShopperIdentity | None:
        known, _, customer = token.partition(":")
        if known != "signed":
            return None
        return ShopperIdentity(connection.workspace_id, connection.store_id, customer)


@dataclass
class Site:
    """The server under test."""

    app: App
    url: str
    server: uvicorn.Server = field(repr=False)

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1)


@contextlib.asynccontextmanager
async def serving(app: App) -> AsyncIterator[Site]:
    """The widget's routes of `app` behind uvicorn, in this very loop: one database pool, real sockets."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = replace(app, settings=replace(app.settings, public_url=url), platforms={"shopify": Vouching()})
    web = Web(app.catalogues, [Path(widget_routes.__file__).parent / "templates"], url)
    site = Starlette(
        routes=widget_routes.routes(app, web),
        middleware=[Middleware(RequestId)],
        exception_handlers=dict(web.handlers()),
    )
    config = uvicorn.Config(site, log_level="warning", ws=Sockets, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve(sockets=[listening]))
    publisher, app.jobs.publisher = app.jobs.publisher, app.hub.publish
    while not server.started:
        await asyncio.sleep(0.01)
    yield Site(app, url, server)
    server.should_exit = True
    await running
    app.jobs.publisher = publisher


@pytest.fixture
async def site(app: App) -> AsyncIterator[Site]:
    async with serving(app) as site:
        yield site


@pytest.fixture
async def without_valkey(app: App) -> AsyncIterator[Site]:
    """The same server while nothing answers where Valkey should be."""
    hub = Hub("redis://127.0.0.1:1")
    async with serving(replace(app, hub=hub)) as site:
        yield site
    await hub.close()


async def connect_store(app: App, workspace: UUID, name: str = "Dukkan") -> Store:
    profile = StoreProfile(name, SHOP, (SHOP, "https://www.dukkan.example"), "SAR", 2, "Asia/Riyadh", "ar")
    async with app.db.transaction(workspace) as tx:
        return await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.myshopify.com", profile=profile)


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    return await connect_store(app, workspace)


@pytest.fixture
async def noa(app: App, workspace: UUID) -> Agent:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(id=new_id(), name="Noa", email=f"{uuid4().hex}@shop.example", role=Role.AGENT)
        tx.add(agent)
    return agent


class Browser:
    """One browser on the store: keeps its secret, as the loader does."""

    def __init__(self, site: Site, store: Store) -> None:
        self.site, self.store = site, store
        self.secret: str | None = None
        self.session: dict[str, Any] = {}
        self.http = httpx.AsyncClient(base_url=site.url, timeout=40)

    async def open(self, **more: Any) -> dict[str, Any]:
        body = {"store": self.store.public_key, "secret": self.secret, "locale": "ar", **more}
        response = await self.http.post("/widget/session", json=body)
        response.raise_for_status()
        self.session = response.json()
        self.secret = self.session["secret"]
        self.http.headers["authorization"] = f"Bearer {self.session['token']}"
        return self.session

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/widget/{path}", json=body)

    async def say(self, text: str, **more: Any) -> dict[str, Any]:
        response = await self.post("messages", **{"client_id": str(uuid4()), "text": text, "attachments": [], **more})
        response.raise_for_status()
        return response.json()["message"]

    async def poll(self, after: int = 0, wait: int = 0, **more: Any) -> dict[str, Any]:
        response = await self.http.get("/widget/messages", params={"after": after, "wait": wait, **more})
        response.raise_for_status()
        return response.json()

    async def texts(self) -> list[str]:
        return [message["text"] for message in (await self.poll())["messages"]]

    async def ticket(self) -> str:
        response = await self.post("ticket")
        response.raise_for_status()
        return response.json()["ticket"]

    @contextlib.asynccontextmanager
    async def socket(
        self, after: int = 0, ticket: str | None = None, mark: str = "", thread: str = ""
    ) -> AsyncIterator["Line"]:
        place = f"after={after}&mark={mark}&thread={thread}"
        address = f"{self.site.ws}/widget/socket?ticket={ticket or await self.ticket()}&{place}"
        async with websockets.connect(address, origin=self.site.url) as raw:
            yield Line(raw)


class Line:
    """An open socket."""

    def __init__(self, raw: websockets.ClientConnection) -> None:
        self.raw = raw

    async def send(self, **frame: Any) -> None:
        await self.raw.send(json.dumps(frame))

    async def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 5) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                frame = json.loads(await self.raw.recv())
                if wanted(frame):
                    return frame

    async def message(self, text: str, seconds: float = 5) -> dict[str, Any]:
        def wanted(frame: dict[str, Any]) -> bool:
            return frame["type"] == "message" and frame["message"]["text"] == text

        return (await self.until(wanted, seconds))["message"]

    async def frame(self, kind: str, seconds: float = 5) -> dict[str, Any]:
        return await self.until(lambda frame: frame["type"] == kind, seconds)


@pytest.fixture
def serve_app() -> Callable[[App], contextlib.AbstractAsyncContextManager[Site]]:
    """For tests that bring an App of their own."""
    return serving


@pytest.fixture
def open_browser(store: Store) -> Callable[[Site], Awaitable[Browser]]:
    """A browser with a session, on any server."""

    async def make(site: Site) -> Browser:
        browser = Browser(site, store)
        await browser.open()
        return browser

    return make


@pytest.fixture
def answer() -> Callable[[Browser, Agent, str], Awaitable[dict[str, Any]]]:
    """An agent replies in the workspace's only conversation."""

    async def reply(browser: Browser, by: Agent, text: str) -> dict[str, Any]:
        async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
            conversation = (await tx.scalars(select(Conversation))).one()
            return await messages.reply(tx, conversation, by, uuid4(), text)

    return reply


@pytest.fixture
async def browser(site: Site, store: Store) -> AsyncIterator[Browser]:
    browser = Browser(site, store)
    await browser.open()
    yield browser
    await browser.http.aclose()


@pytest.fixture
async def another(site: Site, store: Store) -> AsyncIterator[Browser]:
    """Somebody else's browser, or the same person's other device."""
    browser = Browser(site, store)
    yield browser
    await browser.http.aclose()


@pytest.fixture
async def offline(without_valkey: Site, store: Store) -> AsyncIterator[Browser]:
    """A browser on a server that cannot reach Valkey."""
    browser = Browser(without_valkey, store)
    await browser.open()
    yield browser
    await browser.http.aclose()
