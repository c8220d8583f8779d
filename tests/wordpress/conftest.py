"""A real WordPress with our plugin's zip, a real Ahlan, real TLS between them; nothing of either is replaced."""

import asyncio
import contextlib
import importlib.machinery
import importlib.util
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from sqlalchemy import select

from integrations.woocommerce.install import RETURN
from plugin import bootstrap, processes, stores, worker
from plugin.app import App
from plugin.kernel.config import Settings
from plugin.kernel.embedded import Servers
from plugin.kernel.http import Limiter
from plugin.stores import Store
from tests.browser import chrome
from tests.browser.chrome import CHROME, DESKTOP, OPEN_ROOTS, PHONE
from tests.browser.chrome import browser as browser
from tests.browser.chrome import playwright as playwright
from tests.conftest import ENCRYPTION_KEY
from tests.wordpress.front import Certificates, LocalTransport, tls_before
from tests.wordpress.wordpress import ADMIN, PASSWORD, ROOT, WordPress, free_port, missing, serve

OWNER, OWNER_PASSWORD = "noor@zaytouna.example", "a calm long evening"
CUSTOMERS: Final = {
    "layla": ("layla@customers.example", "Layla", "Haddad"),
    "omer": ("omer@customers.example", "Omer", "Ben-David"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, with the reason, what cannot be run here."""
    lacking = missing()
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        names = set(getattr(item, "fixturenames", ()))
        if lacking and names & {"site", "old_site", "network"}:
            item.add_marker(pytest.mark.skip(reason=lacking))
        elif CHROME is None and "meet" in names:
            item.add_marker(pytest.mark.skip(reason="no Chrome or Chromium"))


def load(path: Path) -> ModuleType:
    """A script of .ci as a module."""
    loader = importlib.machinery.SourceFileLoader(path.stem.replace("-", "_"), str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip that `make wordpress-plugin` builds."""
    built: Path = load(ROOT / ".ci" / "wordpress-plugin").build(tmp_path_factory.mktemp("dist"))
    return built


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What everybody in these tests believes."""
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@dataclass
class Ahlan:
    """The running product. `away` takes the server off the net and puts it back."""

    app: App
    url: str
    port: int
    behind: int
    certificates: Certificates
    door: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Somebody's HTTP client, without cookies of others."""
        return httpx.AsyncClient(transport=LocalTransport(self.certificates), timeout=30, **options)

    async def all(self, workspace_id: UUID, model: Any, *conditions: Any) -> list[Any]:
        """Rows of a workspace."""
        async with self.app.db.transaction(workspace_id) as tx:
            return list(await tx.scalars(select(model).where(model.workspace_id == workspace_id, *conditions)))

    async def store(self, url: str) -> Store | None:
        """The store of that address, whoever's it is."""
        for workspace_id, store_id in await self.app.db.lookup("store", f"woocommerce:{url}"):
            assert store_id is not None
            async with self.app.db.transaction(workspace_id) as tx:
                return await stores.get(tx, store_id)
        return None

    async def open_door(self) -> None:
        """Let the world in."""
        self.door = contextlib.AsyncExitStack()
        await self.door.enter_async_context(tls_before(self.port, self.behind, self.certificates))

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nobody answers at our address."""
        await self.door.aclose()
        try:
            yield
        finally:
            await self.open_door()


async def until(look: Callable[[], Awaitable[Any]], what: str, seconds: float = 60) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.05)
    return found


@pytest.fixture(scope="session")
async def ahlan(
    servers: Servers, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ahlan]:
    """The whole product behind TLS, on databases of its own, with a real way out to this machine's names."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    name, redis_url = f"wordpress_{number}", f"{servers.redis_url}?db={number + 12}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    port, behind = free_port(), free_port()
    url = f"https://ahlan.localhost:{port}"
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("ahlan"), port=behind, public_url=url, encryption_keys=(ENCRYPTION_KEY,)
    )
    stop = asyncio.Event()
    async with bootstrap.start(
        settings, database_url=servers.database_url_for(name), redis_url=redis_url,
        transport=LocalTransport(certificates),
    ) as app:  # fmt: skip
        # This shop bears more than the two calls a second that a small shop's server is given.
        app.http.limiter = Limiter(capacity=1000, rate=1000)
        working = asyncio.create_task(worker.run(app, stop))
        serving = asyncio.create_task(processes.run_web(app, stop))
        made = Ahlan(app, url, port, behind, certificates)
        await made.open_door()

        async def answers() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                async with made.client() as http:
                    return (await http.get(f"{url}/readyz")).status_code == 200
            return False

        await until(answers, "the web process")
        yield made
        stop.set()
        await asyncio.gather(working, serving)
        await made.door.aclose()


class Visitor:
    """A person's browser as far as pages, forms and cookies go."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """Open a page and follow where it leads."""
        return await self._follow(await self.http.get(url, headers=headers))

    async def post(self, url: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        """Send a form from a page of the same site and follow where it leads."""
        parts = urlsplit(urljoin(str(self.http.base_url), url))
        own = {"origin": f"{parts.scheme}://{parts.netloc}", "sec-fetch-site": "same-origin"}
        return await self._follow(await self.http.post(url, data=dict(fields), headers={**own, **headers}))

    async def submit(self, page: httpx.Response, mark: str, **fields: str) -> httpx.Response:
        """Send the form of `page` that contains `mark`; what is filled in already stays."""
        for form in re.finditer(r"<form\b([^>]*)>(.*?)</form>", page.text, re.DOTALL):
            if mark in form[0]:
                inputs = re.findall(r"<input\b[^>]*>", form[2])
                filled = {attribute(tag, "name"): attribute(tag, "value") for tag in inputs if attribute(tag, "name")}
                where = urljoin(str(page.url), attribute(form[1], "action"))
                return await self.post(where, {**filled, **fields})
        raise AssertionError(f"{page.url} has no form with {mark}: {page.status_code}\n{page.text[-3000:]}")

    async def click(self, page: httpx.Response, mark: str) -> httpx.Response:
        """Follow the link of `page` that contains `mark`."""
        for link in re.finditer(r"<a\b[^>]*>", page.text):
            if mark in link[0]:
                return await self.get(urljoin(str(page.url), attribute(link[0], "href")))
        raise AssertionError(f"{page.url} has no link {mark}: {page.status_code}\n{page.text[-3000:]}")

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(10):
            if not answer.has_redirect_location:
                return answer
            answer = await self.http.get(urljoin(str(answer.url), answer.headers["location"]))
        raise AssertionError(f"{answer.url} redirects for ever")

    async def sign_in(self, site: WordPress, name: str, password: str = PASSWORD) -> httpx.Response:
        """Sign in to WordPress."""
        await self.get(f"{site.url}/wp-login.php")
        fields = {"log": name, "pwd": password, "testcookie": "1", "redirect_to": f"{site.url}/wp-admin/"}
        answer = await self.post(f"{site.url}/wp-login.php", fields)
        assert any(cookie.startswith("wordpress_logged_in") for cookie in self.http.cookies), answer.text[:2000]
        return answer


def attribute(tag: str, name: str) -> str:
    """An attribute of a tag as its page means it."""
    found = re.search(rf"\b{name}=(?:\"([^\"]*)\"|'([^']*)')", tag)
    return unescape(found[1] or found[2] or "") if found else ""


@pytest.fixture
async def visitor(certificates: Certificates) -> AsyncIterator[Callable[[], Visitor]]:
    """New visitors, with cookies of their own."""
    clients: list[httpx.AsyncClient] = []

    def made() -> Visitor:
        agent = {"accept": "text/html", "accept-language": "en", "user-agent": "Mozilla/5.0"}
        clients.append(httpx.AsyncClient(transport=LocalTransport(certificates), timeout=60, headers=agent))
        return Visitor(clients[-1])

    yield made
    for client in clients:
        await client.aclose()


@dataclass
class Shop:
    """The connected shop, and the merchant's own browser that is signed in to both sides."""

    site: WordPress
    ahlan: Ahlan
    owner: Visitor
    products: Mapping[str, int]
    customers: Mapping[str, int]
    store: Store

    async def connection(self) -> dict[str, Any]:
        """What the plugin keeps of it."""
        kept = await self.site.run(
            "return array( 'stored' => Ahlan_Connection::stored(), 'secret' => Ahlan_Connection::secret() );"
        )
        return {**(kept["stored"] or {}), "secret": kept["secret"]}


SEED: Final = """
$products = array();
foreach ( array( 'soap' => array( 'صابون زيت الزيتون', '4.500' ), 'oil' => array( 'שמן זית כתית', '12.000' ), 'zaatar' => array( 'Zaatar & sumac', '3.250' ) ) as $name => list( $title, $price ) ) {
	$products[ $name ] = wp_insert_post( array( 'post_type' => 'product', 'post_status' => 'publish', 'post_title' => $title, 'post_name' => $name ) );
	update_post_meta( $products[ $name ], '_price', $price );
}
$people = array();
foreach ( $customers as $login => list( $email, $first, $last ) ) {
	$people[ $login ] = wp_insert_user( array( 'user_login' => $login, 'user_pass' => $password, 'user_email' => $email, 'first_name' => $first, 'last_name' => $last, 'display_name' => "$first $last", 'role' => 'customer' ) );
}
wp_insert_user( array( 'user_login' => 'manager', 'user_pass' => $password, 'user_email' => 'manager@shop.localhost', 'display_name' => 'Mira', 'role' => 'shop_manager' ) );
wp_insert_user( array( 'user_login' => 'author', 'user_pass' => $password, 'user_email' => 'author@shop.localhost', 'role' => 'author' ) );
return array( 'products' => $products, 'people' => $people );
"""  # noqa: E501 - PHP, read as it is run


async def connect(site: WordPress, ahlan: Ahlan, owner: Visitor) -> httpx.Response:
    """The merchant's way from the plugin's button through wc-auth and back."""
    settings = await owner.get(f"{site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
    asked = await owner.submit(settings, "wc_ahlan_connect")
    assert urlsplit(str(asked.url)).path == "/panel/connect/woocommerce", f"{asked.url}\n{asked.text[-3000:]}"
    grant = await owner.submit(asked, 'name="site"')
    return await owner.click(grant, "wc-auth-approve")


@pytest.fixture(scope="session")
async def site(
    archive: Path, ahlan: Ahlan, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WordPress]:
    """WordPress with our zip unpacked and activated, not yet connected."""
    async with serve(
        tmp_path_factory.mktemp("wordpress") / "site", "shop.localhost", certificates, archive=archive,
        constants={"WC_AHLAN_SERVER": ahlan.url},
    ) as running:  # fmt: skip
        yield running


@contextlib.asynccontextmanager
async def opened(site: WordPress, ahlan: Ahlan, email: str) -> AsyncIterator[Shop]:
    """The shop, activated and connected by its owner as every merchant does it."""
    seeded = await site.run(SEED, customers=CUSTOMERS, password=PASSWORD)
    await activate(site)
    agent = {"accept": "text/html", "accept-language": "en"}
    async with httpx.AsyncClient(transport=LocalTransport(ahlan.certificates), timeout=60, headers=agent) as http:
        owner = Visitor(http)
        await owner.sign_in(site, ADMIN)
        page = await owner.get(f"{ahlan.url}/sign-up")
        fields = {"name": "Noor", "workspace": "Zaytouna", "email": email, "password": OWNER_PASSWORD}
        await owner.submit(page, 'name="password"', **fields)
        done = await connect(site, ahlan, owner)
        assert (urlsplit(str(done.url)).path, done.status_code) == (RETURN, 200), f"{done.url} {done.text[-3000:]}"
        store = await ahlan.store(site.url)
        assert store is not None
        yield Shop(site, ahlan, owner, seeded["products"], seeded["people"], store)


async def activate(site: WordPress) -> None:
    """The Activate link in the list of plugins."""
    done = await site.run(
        "$done = activate_plugin( 'wc-ahlan/wc-ahlan.php' );"
        " return is_wp_error( $done ) ? $done->get_error_message() : '';"
    )
    assert done == ""


@pytest.fixture(scope="session")
async def shop(site: WordPress, ahlan: Ahlan) -> AsyncIterator[Shop]:
    """The shop on the newest WordPress and PHP, connected."""
    async with opened(site, ahlan, OWNER) as shop:
        yield shop


async def chat_of(shop: Shop, person: Visitor, text: str) -> str:
    """Somebody writes to the shop, as loader and panel do it. Returns the conversation's id."""
    told = await person.http.get(f"{shop.site.url}/wp-json/wc-ahlan/v1/identity")
    token = told.json()["token"] if told.status_code == 200 else None
    body = {"store": shop.store.public_key, "secret": None, "identity": token, "locale": "ar"}
    async with shop.ahlan.client(base_url=shop.ahlan.url, headers={"origin": shop.ahlan.url}) as http:
        session = (await http.post("/widget/session", json=body)).json()
        http.headers["authorization"] = f"Bearer {session['token']}"
        message = {"client_id": str(uuid4()), "text": text, "attachments": []}
        sent = await http.post("/widget/messages", json=message)
        assert sent.status_code == 200, sent.text
        renewed = await http.post("/widget/session", json={**body, "secret": session["secret"]})
    return str(renewed.json()["conversation"]["id"])


# --- in Chromium -----------------------------------------------------------------------------------------------------


@dataclass
class Person(chrome.Person):
    """Somebody with a browser, in the shop or in wp-admin."""

    async def sign_in(self, site: WordPress, name: str) -> Page:
        """Sign in to WordPress by its own form."""
        page = await self.open(f"{site.url}/wp-login.php")
        await page.locator("#user_login").fill(name)
        await page.locator("#user_pass").fill(PASSWORD)
        await page.locator("#wp-submit").click()
        await page.wait_for_url(lambda url: "wp-login" not in url)
        return page


Meet = Callable[..., Awaitable[Person]]


@pytest_asyncio.fixture(loop_scope="session")
async def meet(browser: Browser) -> AsyncIterator[Meet]:
    """New people with their own browsers; at the end none of them may have seen an error."""
    people: list[Person] = []

    async def meet(locale: str = "en", *, phone: bool = False) -> Person:
        context = await browser.new_context(
            locale=locale, timezone_id="Asia/Amman", ignore_https_errors=True, **(PHONE if phone else DESKTOP)
        )
        await context.add_init_script(OPEN_ROOTS)
        people.append(Person(context))
        return people[-1]

    yield meet
    for person in people:
        await person.context.close()
    assert [error for person in people for error in person.errors] == []
