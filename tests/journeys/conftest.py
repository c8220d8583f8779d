"""The whole product in one process: the real web application on a real port, a real worker, both simulated stores.

Only the way out is swapped: host names of platforms lead to the simulators, `localhost` to the port.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import select

from integrations.shopify.simulator import Simulator
from integrations.shopify.simulator import create_app as shopify_simulator
from integrations.woocommerce.install import RETURN
from integrations.woocommerce.simulator import HOST as WOO_HOST
from integrations.woocommerce.simulator import create_app as woocommerce_simulator
from plugin import bootstrap, processes, stores, worker
from plugin.app import App
from plugin.crm import backfill
from plugin.demo import Browser
from plugin.kernel.config import Settings, ShopifyApp
from plugin.kernel.embedded import Servers
from plugin.kernel.http import Limiter
from plugin.stores import Store
from tests.conftest import ENCRYPTION_KEY

CLIENT_ID, SECRET = "journeys-client", "the-secret-of-our-app-in-the-journeys"
SHOPIFY_ADMIN = "admin-shopify-demo.localhost"
SHOPIFY_STOREFRONT = "shopify-demo.localhost"
DOWNLOADS = "storage.googleapis.com"
SHOP = "journeys.myshopify.com"
WOO = f"https://{WOO_HOST}"


class Network(httpx.AsyncBaseTransport):
    """Every host that exists in this world; asking any other is a failure of the test."""

    def __init__(self) -> None:
        self.hosts: dict[str, httpx.AsyncBaseTransport] = {"localhost": httpx.AsyncHTTPTransport()}
        self.shops: list[httpx.AsyncBaseTransport] = []

    def add(self, application: Any, *hosts: str) -> None:
        """Let an ASGI application answer under these names."""
        self.hosts |= dict.fromkeys(hosts, httpx.ASGITransport(application))

    def add_shop(self, simulator: Simulator, *hosts: str) -> None:
        """Let a Shopify shop answer; all of them keep their downloads at one host."""
        self.add(simulator, *hosts)
        self.shops.append(httpx.ASGITransport(simulator))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == DOWNLOADS:
            answers = [await shop.handle_async_request(request) for shop in self.shops]
            return next((answer for answer in answers if answer.status_code != 404), answers[0])
        found = self.hosts.get(request.url.host)
        if found is None:
            raise httpx.ConnectError(f"nobody is at {request.url.host}")
        return await found.handle_async_request(request)


@dataclass
class World:
    """Everything that runs, and what a person can do with it."""

    app: App
    network: Network
    shopify: Simulator
    url: str
    browsers: list[Browser] = field(default_factory=list)

    def browser(self) -> Browser:
        """A fresh browser."""
        made = Browser(self.app.settings, self.network)
        self.browsers.append(made)
        return made

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Somebody's HTTP client, without cookies of others."""
        return httpx.AsyncClient(transport=self.network, timeout=20, **options)

    async def control(self, site: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A simulator's button: GET without a body, POST with one."""
        async with self.client(base_url=site) as http:
            answer = await (http.get(f"/__sim/{path}") if body is None else http.post(f"/__sim/{path}", json=body))
            assert answer.status_code < 300, answer.text
            return answer.json()

    async def store(self, external_id: str) -> Store | None:
        """The store of that name, whoever's it is."""
        for platform in self.app.platforms:
            for workspace_id, store_id in await self.app.db.lookup("store", f"{platform}:{external_id}"):
                assert store_id is not None
                async with self.app.db.transaction(workspace_id) as tx:
                    return await stores.get(tx, store_id)
        return None

    async def all(self, workspace_id: UUID, model: Any, *conditions: Any) -> list[Any]:
        """Rows of a workspace."""
        async with self.app.db.transaction(workspace_id) as tx:
            return list(await tx.scalars(select(model).where(model.workspace_id == workspace_id, *conditions)))

    async def history_of(self, store: Store) -> dict[str, backfill.Backfill]:
        """The finished backfills of a store, waiting for them. A failed one fails the test."""

        async def over() -> dict[str, backfill.Backfill]:
            async with self.app.db.transaction(store.workspace_id) as tx:
                rows = await backfill.progress(tx, store.id)
            assert all(row.state != backfill.FAILED for row in rows), [row.last_error for row in rows]
            fresh = rows and all(row.finished_at and row.finished_at >= store.installed_at for row in rows)
            return {row.resource: row for row in rows} if fresh else {}

        return await self.until(over, 40, f"the history of {store.name}")

    async def until(self, look: Callable[[], Awaitable[Any]], seconds: float = 40, what: str = "it") -> Any:
        """What `look` finds, once it finds something."""
        deadline = time.monotonic() + seconds
        while not (found := await look()):
            assert time.monotonic() < deadline, f"{what} did not happen"
            await asyncio.sleep(0.05)
        return found

    def another_shop(self, domain: str, *, seeded: bool = False) -> Simulator:
        """One more Shopify shop that has our app on offer."""
        made = shopify_simulator(
            None, app_url=self.url, client_id=CLIENT_ID, client_secret=SECRET, base_port=80, domain=domain,
            time_scale=0.001, transport=self.network, seeded=seeded,
        )  # fmt: skip
        self.network.add_shop(made, domain)
        return made


@pytest.fixture(scope="session")
async def world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The running product; its stores are connected by the tests of the install walk, or by the fixtures below."""
    async with running(servers, tmp_path_factory.mktemp("journeys"), "journeys") as made:
        yield made


# Where the queues of each begin, one for every pytest worker: two of these live side by side in one.
QUEUES = {"journeys": 8, "returning": 16, "calling": 24}


@contextlib.asynccontextmanager
async def running(
    servers: Servers, folder: Path, called: str, *, seeded: bool = True, **options: Any
) -> AsyncIterator[World]:
    """The product with two stores that it is not connected to yet. `seeded`: they have had years of business.

    `options` are of `Settings`.

    On databases of its own, `called` in QUEUES: its worker would take the jobs of other tests.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    name, redis_url = f"{called}_{number}", f"{servers.redis_url}?db={QUEUES[called] + number}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://localhost:{port}"
    settings = Settings(
        data_dir=folder, port=port, public_url=url, encryption_keys=(ENCRYPTION_KEY,),
        shopify=ShopifyApp(CLIENT_ID, SECRET), **options,
    )  # fmt: skip
    network = Network()
    shopify = shopify_simulator(
        None, app_url=url, client_id=CLIENT_ID, client_secret=SECRET, base_port=80, domain=SHOP, time_scale=0.01,
        transport=network, seeded=seeded,
    )  # fmt: skip
    network.add_shop(shopify, SHOP, SHOPIFY_STOREFRONT, SHOPIFY_ADMIN)
    shop = woocommerce_simulator(
        None, server=url, site=WOO, public=WOO, trusted=[url], cron_seconds=0.2,
        http=httpx.AsyncClient(transport=network, timeout=20),
    )  # fmt: skip
    network.add(shop, WOO_HOST)
    stop = asyncio.Event()
    database = servers.database_url_for(name)
    async with bootstrap.start(settings, database_url=database, redis_url=redis_url, transport=network) as app:
        # The simulators bear more than the two calls a second that a small shop's server is given.
        app.http.limiter = Limiter(capacity=1000, rate=1000)
        working = asyncio.create_task(worker.run(app, stop))
        serving = asyncio.create_task(processes.run_web(app, stop))
        made = World(app, network, shopify, url)
        async with made.client(base_url=url) as http:
            await made.until(lambda: _answers(http), what="the web process")
        yield made
        for browser in made.browsers:
            await browser.__aexit__()
        stop.set()
        await asyncio.gather(working, serving)
    await shopify.shutdown()


async def _answers(http: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await http.get("/readyz")).status_code == 200
    return False


@pytest.fixture(scope="session")
async def shopify_store(world: World) -> Store:
    """The Shopify store, installed by opening the app in its admin."""
    await world.control(f"https://{SHOP}", "install", {})
    launch = await world.control(f"https://{SHOP}", "launch")
    opened = await world.browser().get(launch["url"])
    assert opened.status_code == 200, opened.text
    store = await world.store(SHOP)
    assert store is not None
    return store


@dataclass
class Owner:
    """Somebody signed in to the stand-alone panel."""

    browser: Browser
    email: str
    workspace_id: UUID


@pytest.fixture(scope="session")
async def owner(world: World) -> Owner:
    """A merchant who has signed up: an account, a workspace, no store yet."""
    browser = world.browser()
    page = await browser.get(f"{world.url}/sign-up")
    email = "noor@zaytouna.example"
    fields = {"name": "Noor", "workspace": "Zaytouna", "email": email, "password": "a calm long evening"}
    signed_up = await browser.submit(page, "password", fields)
    assert urlsplit(str(signed_up.url)).path == "/panel", signed_up.text
    key = world.app.vault.fingerprint("email", email)
    [(workspace_id, _store)] = await world.app.db.lookup("sign_in", key)
    return Owner(browser, email, workspace_id)


@pytest.fixture(scope="session")
async def woo_store(world: World, owner: Owner) -> Store:
    """The WooCommerce store, connected with its plugin's button by the signed-in merchant."""
    browser = owner.browser
    await browser.post(f"{WOO}/wp-login.php", {})
    asked = await browser.post(f"{WOO}/wp-admin/admin-post.php", {"action": "connect"})
    grant = await browser.submit(asked, "site", {})
    done = await browser.click(grant, "approve")
    assert done.status_code == 200, done.text
    assert urlsplit(str(done.url)).path == RETURN
    store = await world.store(WOO)
    assert store is not None
    return store


def csrf(html: str) -> str:
    """What the panel's own scripts send along with every change."""
    return html.split('"x-csrf-token": "')[1].split('"')[0]


class Shopper:
    """A visitor's browser on a storefront, as loader and panel use it."""

    def __init__(self, world: World, store: Store) -> None:
        self.store = store
        self.http = world.client(base_url=world.url, headers={"origin": world.url})
        self.url = world.url
        self.secret: str | None = None

    async def open(self, **more: Any) -> dict[str, Any]:
        """Begin or renew the session."""
        body = {"store": self.store.public_key, "secret": self.secret, "locale": "ar", **more}
        answer = await self.http.post("/widget/session", json=body)
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()
        self.secret = session["secret"]
        self.http.headers["authorization"] = f"Bearer {session['token']}"
        return session

    async def say(self, text: str, client_id: str) -> dict[str, Any]:
        """Send a message over HTTP."""
        answer = await self.http.post(
            "/widget/messages", json={"client_id": client_id, "text": text, "attachments": []}
        )
        assert answer.status_code == 200, answer.text
        message: dict[str, Any] = answer.json()["message"]
        return message

    async def hear(self, after: int = 0, wait: int = 0) -> list[dict[str, Any]]:
        """Messages after a number."""
        answer = await self.http.get("/widget/messages", params={"after": after, "wait": wait}, timeout=wait + 10)
        assert answer.status_code == 200, answer.text
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages


@pytest.fixture
def shopper(world: World) -> Callable[[Store], Shopper]:
    """A visitor of a store."""
    return lambda store: Shopper(world, store)
