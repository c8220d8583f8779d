"""A shop of Shopify's simulator per test, and our platform connected to it through the swapped outgoing transport."""

import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette

import admin_ui
import plugin.widget
from integrations.shopify import routes
from integrations.shopify.platform import ShopifyPlatform
from integrations.shopify.simulator import Simulator, create_app, oauth
from plugin import stores
from plugin.app import App
from plugin.kernel.config import Settings, ShopifyApp
from plugin.kernel.http import Http
from plugin.kernel.web import Web
from plugin.platform import AdminSession, Connection

SECRET = "the-secret-of-our-app-in-the-tests-1"
CLIENT = "0123456789abcdef"
PUBLIC_URL = "https://app.example.com"
TEMPLATES = [Path(room.__file__).parent / "templates" for room in (admin_ui, plugin.widget)]

Answer = Callable[[httpx.Request], Awaitable[httpx.Response | None]]


class Wire(httpx.AsyncBaseTransport):
    """The network between us and the shop: counts what went through, may answer or fail instead of it."""

    def __init__(self, simulator: Simulator) -> None:
        self._inner = httpx.ASGITransport(simulator)
        self.requests: list[httpx.Request] = []
        self.before: Answer | None = None
        self.after: Callable[[httpx.Request, httpx.Response], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        instead = await self.before(request) if self.before else None
        answer = instead or await self._inner.handle_async_request(request)
        if self.after:
            await self.after(request, answer)
        return answer

    def count(self, what: str) -> int:
        """Requests whose address or body holds `what`."""
        return sum(what in str(request.url) or what.encode() in request.content for request in self.requests)


@dataclass
class World:
    """One shop, the wire to it, and our side."""

    app: App
    sim: Simulator
    wire: Wire
    platform: ShopifyPlatform
    settings: Settings
    domain: str
    session: AdminSession | None = field(default=None)

    def token(self, **overrides: Any) -> str:
        """An ID token of the shop's admin."""
        return oauth.id_token(self.sim.shop, **overrides)

    async def connect(self, *, scopes: list[str] | None = None) -> Connection:
        """Install the app and open its panel once."""
        oauth.install(self.sim.shop, scopes)
        self.session = await self.platform.admin_session(self.token())
        return await self.connection()

    async def store(self) -> stores.Store:
        assert self.session is not None
        async with self.app.db.transaction(self.session.workspace_id) as tx:
            store = await stores.get(tx, self.session.store_id)
        assert store is not None
        return store

    async def connection(self) -> Connection:
        return (await self.store()).connection()

    async def secret(self, kind: str) -> tuple[str, stores.Credential]:
        """A credential as it is stored."""
        assert self.session is not None
        async with self.app.db.transaction(self.session.workspace_id) as tx:
            held = await stores.credential(tx, self.app.vault, self.session.store_id, kind)
        assert held is not None
        return held

    async def put(self, kind: str, secret: str, **more: Any) -> None:
        assert self.session is not None
        async with self.app.db.transaction(self.session.workspace_id) as tx:
            await stores.put_credential(tx, self.app.vault, self.session.store_id, kind, secret, **more)

    def another_process(self) -> ShopifyPlatform:
        """Our side once more, with a memory of its own, on the same database."""
        return ShopifyPlatform(
            db=self.app.db, vault=self.app.vault, http=Http(transport=self.wire), settings=self.settings
        )

    async def workspaces_of_shop(self) -> list[tuple[UUID, UUID | None]]:
        return await self.app.db.lookup("store", f"shopify:{self.domain}")


@pytest.fixture
async def world(app: App) -> AsyncIterator[World]:
    domain = f"shop-{secrets.token_hex(5)}.myshopify.com"
    sim = create_app(
        None, app_url=PUBLIC_URL, client_id=CLIENT, client_secret=SECRET, base_port=8001, domain=domain,
        time_scale=0.001, transport=httpx.MockTransport(lambda request: httpx.Response(200)),
    )  # fmt: skip
    # Points as fast as they are spent: waiting for them has tests of its own.
    sim.admin_api.throttle.rate = 1_000_000.0
    wire = Wire(sim)
    settings = dataclasses.replace(
        app.settings, public_url=PUBLIC_URL, shopify=ShopifyApp(CLIENT, SECRET, "the-previous-secret-of-our-app-0000")
    )
    platform = ShopifyPlatform(db=app.db, vault=app.vault, http=Http(transport=wire), settings=settings)
    yield World(app, sim, wire, platform, settings, domain)
    await sim.shutdown()


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a cookie jar, at our site; nothing is followed by itself."""
    world.app = with_platform(world)
    pages = Web(world.app.catalogues, TEMPLATES, PUBLIC_URL)
    site = Starlette(routes=routes.routes(world.app, pages), exception_handlers=dict(pages.handlers()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url=PUBLIC_URL) as client:
        yield client


def with_platform(world: World) -> Any:
    """The test's App with this world's platform and settings."""
    fields = {name: getattr(world.app, name) for name in type(world.app).__dataclass_fields__}
    return type(world.app)(**fields | {"platforms": {"shopify": world.platform}, "settings": world.settings})
