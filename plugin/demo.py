"""`ahlan demo`: the whole product on one machine, connected to two simulated stores by their real flows.

Only the outgoing transport differs from `serve`: the platforms' host names lead to the simulators' port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import structlog
from rich.console import Console

from plugin import processes, seed_bot, seed_help, stores
from plugin.app import App
from plugin.kernel.config import Settings
from plugin.kernel.errors import SetupError
from plugin.kernel.http import Guard, RoutedTransport, guarded_transport
from plugin.progress import follow_backfills

log = structlog.get_logger(__name__)

CLIENT_ID = "ahlan-demo-client"
CLIENT_SECRET = "ahlan-demo-secret-that-is-public"  # noqa: S105 - `serve` refuses it
SHOP = "ahlan-demo.myshopify.com"
SHOPIFY_STOREFRONT = "shopify-demo.localhost"
SHOPIFY_ADMIN = "admin-shopify-demo.localhost"
WOO_HOST = "woo-demo.localhost"
CARRIER = "api.easypost.com"
CARRIER_HOST = "carrier-demo.localhost"
CARRIER_FILES = "easypost-files.s3.us-west-2.amazonaws.com"
EMAIL = "owner@ahlan-demo.example"
PASSWORD = "marhaba-shalom-hello"  # noqa: S105 - printed on the first page
STORES = "stores"
"""Folder of a data directory that holds the demo's two stores: where it is, the rest is the demo's too."""
TRICKLE_SECONDS = 12.0
ALLOWED = (
    "write_orders", "write_draft_orders", "write_discounts", "write_order_edits", "write_returns", "read_locations",
    "write_store_credit_account_transactions", "read_store_credit_accounts", "read_content", "read_legal_policies",
    "read_shipping", "read_translations",
)  # fmt: skip
"""What the merchant of the Shopify store has allowed besides what is required; the rest shows how it is asked for."""
READY_SECONDS = 60.0


def environment(settings: Settings) -> Mapping[str, str]:
    """What the demo's processes see instead of the operator's own configuration."""
    simulators = settings.port + 1
    return {
        "AHLAN_DATA_DIR": str(settings.data_dir),
        "AHLAN_PORT": str(settings.port),
        "AHLAN_HOST": settings.host,
        "AHLAN_PUBLIC_URL": f"http://localhost:{settings.port}",
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "SHOPIFY_API_KEY": CLIENT_ID,
        "SHOPIFY_API_SECRET": CLIENT_SECRET,
        "SHOPIFY_API_SECRET_PREVIOUS": "",
        "SHOPIFY_LISTING_URL": f"http://{SHOPIFY_ADMIN}:{simulators}/apps/{CLIENT_ID}",
        "AHLAN_LANGUAGE_SOCKET": "",
        "AHLAN_LOG_LEVEL": os.environ.get("AHLAN_LOG_LEVEL", "warning"),
        "AHLAN_DEMO_FRAME_ANCESTORS": f"http://{SHOPIFY_ADMIN}:{simulators}",
        "AHLAN_DEMO_APP_BRIDGE_URL": f"http://{SHOPIFY_ADMIN}:{simulators}/app-bridge.js",
        "AHLAN_DEMO_SIMULATOR_URL": f"http://127.0.0.1:{simulators}",
        "AHLAN_DEMO_EMAIL": EMAIL,
        "AHLAN_DEMO_PASSWORD": PASSWORD,
        # Whoever tries the demo may have a language model on their own machine.
        "AHLAN_ALLOW_PRIVATE_HOSTS": ",".join((WOO_HOST, SHOPIFY_STOREFRONT, *settings.allow_private_hosts)),
    }


def transport(settings: Settings) -> httpx.AsyncBaseTransport | None:
    """The demo's outgoing transport; None for everybody else."""
    if not settings.demo.simulator_url:
        return None
    to = settings.demo.simulator_url
    hosts = (SHOP, SHOPIFY_STOREFRONT, "storage.googleapis.com", WOO_HOST, CARRIER, CARRIER_FILES)
    return RoutedTransport(dict.fromkeys(hosts, to), guarded_transport(Guard()))


async def run(settings: Settings, console: Console, *, trickle: bool) -> None:
    """Start everything, connect the stores, wait for their history, then go on until somebody stops it."""
    if "AHLAN_DATA_DIR" not in os.environ:
        settings = replace(settings, data_dir=settings.data_dir / "demo")
    stop = processes.stop_signal()
    own = environment(settings)
    os.environ.update(own)
    children = [
        processes.Child("simulators", ["plugin.demo_stores"], own),
        processes.Child("web", ["plugin", "demo-web"], own),
        processes.Child("worker", ["plugin", "demo-worker"], own),
        processes.language(own),
    ]
    console.print("Starting PostgreSQL, Valkey, the panel, a worker and two stores …")
    _begin(settings.data_dir)
    async with processes.services(replace(settings, database_url="", redis_url=""), attach=False):
        if not is_demo(settings.data_dir):
            # Its owner's password is public, and its stores would stand among real ones.
            raise SetupError(f"{settings.data_dir} holds a real installation: choose another AHLAN_DATA_DIR.")
        # Whoever else answers there would be taken for ours.
        for port in (settings.port, settings.port + 1):
            processes.listen(settings.host, port).close()
        try:
            for child in children:
                await child.start()
            await _unless_stopped(_story(settings, console), stop)
            if not stop.is_set():
                await _unless_stopped(_trickle(settings) if trickle else stop.wait(), stop)
        finally:
            console.print("Stopping …")
            await asyncio.gather(*(child.stop() for child in children))


def is_demo(data_dir: Path) -> bool:
    """Whether the data there is a demo's."""
    return (data_dir / STORES).exists()


def _begin(data_dir: Path) -> None:
    """Mark an empty data directory as the demo's. Whether it can be used at all is said by whoever starts servers."""
    if not (data_dir / "postgres").exists():
        with contextlib.suppress(OSError):
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            (data_dir / STORES).mkdir(exist_ok=True)


async def _unless_stopped(work: Coroutine[Any, Any, object], stop: asyncio.Event) -> None:
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def _story(settings: Settings, console: Console) -> None:
    public = f"http://localhost:{settings.port}"
    async with Browser(settings) as browser:
        await _until_ready(browser, public, settings.port + 1)
        await connect_stores(browser, public)
    async with processes.application(replace(settings, database_url="", redis_url="")) as app:
        await _history(app, console)
        for workspace_id in await app.db.workspaces():
            async with app.db.transaction(workspace_id) as tx:
                await seed_help.furnish(app, tx)
                await seed_bot.furnish(app, tx)
    simulators = settings.port + 1
    async with Browser(settings) as browser:
        for host in (SHOPIFY_STOREFRONT, WOO_HOST):
            await _open_chat(browser, f"http://{host}:{simulators}/")
    console.print()
    for what, where in (
        ("Start here", public),
        ("Shopify storefront", f"http://{SHOPIFY_STOREFRONT}:{simulators}"),
        ("Shopify admin with the panel", f"http://{SHOPIFY_ADMIN}:{simulators}"),
        ("WooCommerce storefront", f"http://{WOO_HOST}:{simulators}"),
        ("Panel on its own", f"{public}/panel"),
    ):
        console.print(f"  {what:<30} [link]{where}[/link]", highlight=False)
    console.print(f"  {'Sign in with':<30} {EMAIL} / {PASSWORD}", highlight=False)
    console.print(f"\nAhlan demo ready: {public}", highlight=False)


class Browser:
    """A person's browser as far as the authorization flows need one: cookies, redirects, forms."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        local = f"http://127.0.0.1:{settings.port}"
        stores_at = f"http://127.0.0.1:{settings.port + 1}"
        routes = dict.fromkeys((SHOP, SHOPIFY_STOREFRONT, SHOPIFY_ADMIN, WOO_HOST), stores_at)
        self._client = httpx.AsyncClient(
            transport=transport or RoutedTransport({**routes, "localhost": local}, httpx.AsyncHTTPTransport()),
            timeout=20,
            headers={"accept": "text/html", "accept-language": "en"},
        )

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """Open a page and follow where it leads."""
        return await self._follow(await self._client.get(url, headers=headers))

    async def post(self, url: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        """Send a form from a page of the same site and follow where it leads."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        sent = await self._client.post(
            url, data=dict(fields), headers={"origin": origin, "sec-fetch-site": "same-origin", **headers}
        )
        return await self._follow(sent)

    async def control(self, url: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
        """A simulator's control endpoint: GET without a body, POST with one."""
        answer = await (self._client.get(url) if body is None else self._client.post(url, json=dict(body)))
        answer.raise_for_status()
        found: dict[str, object] = answer.json()
        return found

    async def submit(self, page: httpx.Response, field: str, fields: Mapping[str, str]) -> httpx.Response:
        """Fill in the form of `page` that has an input called `field`; what is filled in already stays."""
        for form in re.finditer(r"<form\b(.*?)>(.*?)</form>", page.text, re.DOTALL):
            inputs = re.findall(r"<input\b[^>]*>", form[2])
            filled = {_attribute(tag, "name"): _attribute(tag, "value") for tag in inputs}
            if field in filled:
                where = urljoin(str(page.url), _attribute(form[1], "action"))
                return await self.post(where, {**filled, **fields})
        raise SetupError(f"{page.url} has no form with {field}: {page.status_code}")

    async def click(self, page: httpx.Response, name: str) -> httpx.Response:
        """Follow the link of `page` whose id is `name`."""
        for link in re.finditer(r"<a\b[^>]*>", page.text):
            if _attribute(link[0], "id") == name:
                return await self.get(urljoin(str(page.url), _attribute(link[0], "href")))
        raise SetupError(f"{page.url} has no link {name}: {page.status_code}")

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(10):
            if not answer.has_redirect_location:
                return answer
            answer = await self._client.get(urljoin(str(answer.url), answer.headers["location"]))
        raise SetupError(f"{answer.url} redirects for ever")


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


async def _until_ready(browser: Browser, public: str, simulators: int) -> None:
    """Wait until web and stores answer. Raises SetupError when they do not."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            for url in (f"{public}/readyz", f"http://{WOO_HOST}:{simulators}/__sim/state",
                        f"http://{SHOPIFY_STOREFRONT}:{simulators}/__sim/status"):  # fmt: skip
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await browser.get(url)).status_code == 200:
                            break
                    await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise SetupError(f"The demo did not start within {READY_SECONDS:g} s; what went wrong stands above.") from error


async def connect_stores(browser: Browser, public: str) -> None:
    """Walk both authorization flows as the merchant; what is connected already stays as it is."""
    port = urlsplit(public).port or 80
    shopify = f"http://{SHOPIFY_STOREFRONT}:{port + 1}"
    status = await browser.control(f"{shopify}/__sim/status")
    if not status["installed"]:
        await browser.control(f"{shopify}/__sim/install", {"scopes": ALLOWED})
    # Before the first check of the store, as a merchant who follows the install's last step would have it.
    await browser.control(f"{shopify}/__sim/embed", {"enabled": True})
    launch = await browser.control(f"{shopify}/__sim/launch")
    opened = await browser.get(str(launch["url"]))
    if opened.status_code != 200:
        raise SetupError(f"The panel did not open in Shopify's admin: {opened.status_code}")
    panel = await browser.get(f"{public}/sign-in")
    signed_in = await browser.submit(panel, "password", {"email": EMAIL, "password": PASSWORD})
    if str(signed_in.url.path) == "/sign-in":
        await _account(browser, public, shopify)
    woocommerce = f"http://{WOO_HOST}:{port + 1}"
    if (await browser.get(f"{woocommerce}/__sim/state")).json()["paired"]:
        return
    await browser.post(f"{woocommerce}/wp-login.php", {})
    asked = await browser.post(f"{woocommerce}/wp-admin/admin-post.php", {"action": "connect"})
    grant = await browser.submit(asked, "site", {})
    done = await browser.click(grant, "approve")
    if done.status_code != 200 or done.url.host != urlsplit(public).hostname:
        raise SetupError(f"WooCommerce was not connected: {done.status_code} at {done.url.path}")


async def _open_chat(browser: Browser, storefront: str) -> None:
    """What a shopper's first touch loads: the panel then knows that the chat is on this storefront."""
    page = await browser.get(storefront)
    script = re.search(r"<script\b[^>]*\bdata-store=[^>]*>", page.text)
    if script is None:
        raise SetupError(f"{page.url} does not show the chat: {page.status_code}")
    server, store = _attribute(script[0], "data-server"), _attribute(script[0], "data-store")
    await browser.get(f"{server}/widget/frame?store={store}", **{"sec-fetch-dest": "iframe"})


async def _account(browser: Browser, public: str, shopify: str) -> None:
    """The store's owner, in Shopify's admin, invites themselves to the stand-alone panel."""
    token = await browser.control(f"{shopify}/__sim/id-token")
    bearer = {"authorization": f"Bearer {token['token']}"}
    invited = await browser.post(f"{public}/shopify/team/invitations", {"email": EMAIL, "role": "owner"}, **bearer)
    link = re.search(rf"{re.escape(public)}/invitations/[\w-]+/[\w-]+", unescape(invited.text))
    if link is None:
        raise SetupError(f"The owner could not be invited: {invited.status_code}")
    page = await browser.get(link[0])
    await browser.submit(page, "password", {"name": "Noor", "password": PASSWORD})


async def _history(app: App, console: Console) -> None:
    """Show the backfills of both stores until the last is over."""
    followed = []
    for workspace_id in await app.db.workspaces():
        async with app.db.transaction(workspace_id) as tx:
            followed += [(workspace_id, store.id, store.name) for store in await stores.all_stores(tx)]
    await follow_backfills(app, followed, console, work=False)


async def _trickle(settings: Settings) -> None:
    """Let something happen in both stores every few seconds."""
    async with Browser(settings) as browser:
        while True:
            for host in (SHOPIFY_STOREFRONT, WOO_HOST):
                await asyncio.sleep(TRICKLE_SECONDS / 2)
                with contextlib.suppress(httpx.HTTPError):
                    await browser.control(f"http://{host}:{settings.port + 1}/__sim/tick", {})
