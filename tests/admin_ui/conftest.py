"""The panel over HTTP: a shop, and browsers that are signed in as one of its people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette

from plugin.app import App
from tests.admin_ui.shop import PASSWORD, Admin, Shop, assemble, open_shop, seed
from tests.joining.conftest import merchant as merchant

URL = "http://localhost:8000"
Browser = httpx.AsyncClient
SignIn = Callable[[str], Awaitable[Browser]]


@pytest.fixture(scope="session")
def standing(app: App) -> tuple[Admin, Starlette]:
    """The panel, put up once: a thousand addresses and their templates take longer than most tests of them."""
    admin = Admin()
    _app, site = assemble(app, URL, admin)
    return admin, site


@pytest.fixture
def admin(standing: tuple[Admin, Starlette]) -> Admin:
    """The stores' admin that the panel asks, as nobody has used it."""
    admin, _site = standing
    vars(admin).clear()
    admin.__init__()  # the panel keeps this very one
    return admin


@pytest.fixture
def panel(app: App, standing: tuple[Admin, Starlette], admin: Admin) -> httpx.ASGITransport:
    asked, site = standing
    if admin is not asked:  # A file with an admin of its own.
        _app, site = assemble(app, URL, admin)
    return httpx.ASGITransport(site, raise_app_exceptions=False)


@pytest.fixture
async def visitor(panel: httpx.ASGITransport) -> AsyncIterator[Browser]:
    """A browser that nobody has signed in with."""
    async with httpx.AsyncClient(transport=panel, base_url=URL, headers={"sec-fetch-site": "same-origin"}) as client:
        yield client


@pytest.fixture
async def shop(app: App) -> Shop:
    return await seed(app)


@pytest.fixture
async def empty_shop(app: App) -> Shop:
    return await open_shop(app)


@pytest.fixture
async def sign_in(panel: httpx.ASGITransport) -> AsyncIterator[SignIn]:
    """Signs a browser in with an e-mail address and the seed's password."""
    clients: list[Browser] = []

    async def sign_in(email: str) -> Browser:
        client = httpx.AsyncClient(transport=panel, base_url=URL, headers={"sec-fetch-site": "same-origin"})
        clients.append(client)
        page = await client.get("/sign-in")
        form = {"email": email, "password": PASSWORD, "csrf": field(page.text, "csrf")}
        answer = await client.post("/sign-in", data=form)
        assert answer.status_code == 303, answer.text
        page = await client.get("/panel/team")  # of the pages that everybody may see, one that is soon made
        client.headers["x-csrf-token"] = page.text.split('"x-csrf-token": "')[1].split('"')[0]
        return client

    yield sign_in
    for client in clients:
        await client.aclose()


def field(html: str, name: str) -> str:
    """The value of a hidden field."""
    return html.split(f'name="{name}" value="')[1].split('"')[0]
