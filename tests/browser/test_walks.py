"""The real demo, walked in a real browser: shoppers in both storefronts, agents in both panels, nothing in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    Frame,
    FrameLocator,
    Locator,
    Page,
    Playwright,
    Request,
    expect,
)

from tests.browser import chrome
from tests.browser.chrome import ARGS, CHROME, DESKTOP, OPEN_ROOTS, PHONE, is_sent, needs_browser

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "owner@ahlan-demo.example", "marhaba-shalom-hello"
DEVICES = {"phone": PHONE, "desktop": DESKTOP}
DIRECTION = {"en": "ltr", "ar": "rtl", "he": "rtl"}
STAFF = {"he": "548380009", "ar": "548380010", "en": "548380011"}
BACK = 120_000
"""Milliseconds until a killed web process is there again and its windows have found it, also on a busy machine."""
HISTORY_DAYS = 60
"""How far back a Shopify app without `read_all_orders` sees; the demo has not been granted it."""

WORDS = {
    "en": ("Hello, where is my order?", "It leaves today.", "Thank you (order 7)"),
    "ar": ("مرحبًا، أين طلبي؟", "يُشحن اليوم، والتوصيل غدًا.", "شكرًا لكم (طلب 7)"),
    "he": ("שלום, איפה ההזמנה שלי?", "היא יוצאת היום.", "תודה (הזמנה 7)"),
}
MEASURE = """() => {
  const root = document.documentElement;
  const boxes = "#page, .sheet-head, .card, .notice, .row, .bubble, .composer, .message, .thread-head";
  const wide = [root, ...document.querySelectorAll(boxes)]
    .filter((element) => element.checkVisibility() && element.scrollWidth > element.clientWidth + 1)
    .map((element) => `${element.tagName}.${element.className} ${element.scrollWidth} > ${element.clientWidth}`);
  return { dir: root.dir, lang: root.lang, wide };
}"""

pytestmark = needs_browser


class Demo:
    """`ahlan demo` as a process of its own, on ports and a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = _two_free_ports()
        self.output: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def app(self) -> str:
        return f"http://localhost:{self.port}"

    def store(self, name: str) -> str:
        return f"http://{name}.localhost:{self.port + 1}"

    async def launch(self) -> asyncio.subprocess.Process:
        """One more start on the same data directory."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("AHLAN_", "SHOPIFY_"))}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "plugin", "demo", cwd=ROOT, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**mine, "AHLAN_DATA_DIR": str(self.data_dir), "AHLAN_PORT": str(self.port), "COLUMNS": "160"},
        )  # fmt: skip

    async def start(self) -> float:
        """Returns the seconds until it says that it is ready."""
        begun = time.monotonic()
        ready = asyncio.Event()
        self._process = await self.launch()
        self._reading = asyncio.create_task(self._read(self._process, ready))
        ended = asyncio.create_task(self._process.wait())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({ended, waiting}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        waiting.cancel()
        assert ready.is_set(), "".join(self.output)
        return time.monotonic() - begun

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.output.append(line.decode())
            if f"Ahlan demo ready: {self.app}" in self.output[-1]:
                ready.set()

    async def stop(self) -> None:
        """Ctrl-C's politer sister; afterwards nothing of it may be left."""
        if self._process is None or self._process.returncode is not None:
            return
        assert len(self.processes()) >= 5, "main, simulators, web, worker, PostgreSQL and Valkey"
        self._process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self._process.wait(), 30)
        assert self._reading is not None
        await self._reading
        assert (code, self.processes()) == (0, []), "".join(self.output[-30:])

    def processes(self) -> list[str]:
        """Everything that runs on this data directory, by whom it was started or what it was told."""
        here = str(self.data_dir)
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                said = process.cmdline()
                with contextlib.suppress(psutil.AccessDenied):
                    said = [*said, process.environ().get("AHLAN_DATA_DIR", "")]
                if process.status() != psutil.STATUS_ZOMBIE and any(here in word for word in said):
                    found.append(" ".join(said))
        return found

    def web(self) -> psutil.Process:
        """The web process that runs now."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        return next(child for child in children if "demo-web" in child.cmdline())


def _two_free_ports() -> int:
    while True:
        port = 20_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 1))
            return port


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo() -> AsyncIterator[Demo]:
    """The demo, until the last walk is over; it must leave no process behind."""
    with tempfile.TemporaryDirectory(prefix="ahlan-walks-") as folder:
        # PostgreSQL does not run as root: its own user must be able to reach the directory.
        Path(folder).chmod(0o711)
        demo = Demo(Path(folder) / "data")
        try:
            await demo.start()
            yield demo
        finally:
            await demo.stop()


@dataclass
class Person(chrome.Person):
    """Somebody in the demo."""

    demo: Demo = field(kw_only=True)


Meet = Callable[..., Awaitable[Person]]


@pytest_asyncio.fixture(loop_scope="session")
async def meet(demo: Demo, browser: Browser) -> AsyncIterator[Meet]:
    """New people with their own browsers; at the end none of them may have seen an error."""
    people: list[Person] = []

    async def meet(locale: str = "en", device: str = "desktop") -> Person:
        context = await browser.new_context(locale=locale, timezone_id="Asia/Amman", **DEVICES[device])
        await context.add_init_script(OPEN_ROOTS)
        people.append(Person(context, demo=demo))
        return people[-1]

    yield meet
    for person in people:
        await person.context.close()
    assert [error for person in people for error in person.errors] == []


async def tidy(frame: Page | Frame, locale: str) -> None:
    """The page runs in its language's direction and nothing sticks out of it."""
    seen = await frame.evaluate(MEASURE)
    assert (seen["dir"], seen["lang"], seen["wide"]) == (DIRECTION[locale], locale, []), frame.url


# --- shoppers --------------------------------------------------------------------------------------------------------


class Shop:
    """A storefront as a shopper meets it; the two differ in their pages only."""

    def __init__(self, demo: Demo, kind: str, locale: str) -> None:
        self.kind, self.locale = kind, locale
        self.root = demo.store(f"{kind}-demo")
        if kind == "shopify":
            prefix = "" if locale == "en" else f"/{locale}"
            self.home, self.account = f"{self.root}{prefix or '/'}", f"{self.root}{prefix}/account"
            self.checkout = f"{self.root}{prefix}/checkout"
        else:
            self.home, self.account = f"{self.root}/shop/?lang={locale}", f"{self.root}/my-account/?lang={locale}"
            self.checkout = f"{self.root}/checkout/?lang={locale}"

    def customer(self, page: Page, number: int) -> Locator:
        """The button that signs in as the language's customer `number`."""
        if self.kind == "shopify":
            return page.locator(f".people section[lang={self.locale}] button").nth(number)
        return page.locator(".people button").nth(list(DIRECTION).index(self.locale) * 3 + number)

    async def sign_in(self, page: Page, number: int) -> str:
        """Returns the customer's name."""
        await page.goto(self.account)
        choice = self.customer(page, number)
        name = (await choice.locator("bdi").first.inner_text()).strip()
        await choice.click()
        await expect(page.locator("ul.orders li").first).to_be_visible()
        return name

    async def orders(self, page: Page) -> list[str]:
        """The signed-in customer's orders that an app may see, newest first."""
        await page.goto(self.account)
        if self.kind == "woo":
            return [number.strip() for number in await page.locator("ul.orders li b bdi").all_inner_texts()]
        since = datetime.now(UTC) - timedelta(days=HISTORY_DAYS - 1)
        found = []
        for row in await page.locator("ul.orders > li").all():
            at = datetime.fromisoformat(await row.locator("time").get_attribute("datetime") or "")
            if at > since:
                found.append((await row.locator("strong bdi").inner_text()).strip())
        return found

    async def buy(self, page: Page) -> str:
        """Put the first thing that is there into the cart and order it. Returns the order's number."""
        for position in range(6):
            await page.goto(self.home)
            await page.locator(".grid a").nth(position).click()
            button = page.locator("form.buy button").last
            if await button.is_enabled(timeout=2000):
                break
        await button.click()
        await page.goto(self.checkout)
        await page.locator("main form button").last.click()
        thanks = page.locator("main h2 bdi" if self.kind == "woo" else "p.order-name bdi").first
        return (await thanks.inner_text()).strip()


class Chat:
    """The widget on one page of a storefront."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def frame(self) -> Frame:
        return next(frame for frame in self.page.frames if "/widget/frame" in frame.url)

    @property
    def text(self) -> Locator:
        return self.frame.locator("textarea")

    async def open(self) -> None:
        await self.page.locator("ahlan-widget button.l").click()
        await expect(self.page.locator("ahlan-widget .r iframe")).to_be_visible()
        await self.frame.locator(".door").first.click()
        await expect(self.text).to_be_visible()

    async def say(self, words: str) -> None:
        await self.text.fill(words)
        await self.text.press("Enter")
        await expect(self.bubble(words)).to_be_visible()

    def bubble(self, words: str) -> Locator:
        return self.frame.locator(".message .text", has_text=words)


# --- agents ----------------------------------------------------------------------------------------------------------


class Panel:
    """The panel, in its own window or inside the store's admin."""

    def __init__(self, page: Page, inside: FrameLocator | None = None) -> None:
        self.page = page
        self._inside = inside

    @property
    def frame(self) -> Frame:
        if self._inside is None:
            return self.page.main_frame
        return next(frame for frame in self.page.frames if frame.parent_frame is not None and "/shopify" in frame.url)

    def find(self, selector: str, **options: Any) -> Locator:
        return (self._inside or self.page).locator(selector, **options)

    async def visit(self, place: str) -> None:
        await self.find(f"[data-nav$='/{place}']").click()
        await expect(self.find(f"[data-nav$='/{place}'][aria-current]")).to_have_count(1)

    async def enter(self, token: str) -> None:
        """Open the newest conversation, which has `token` in it: the last words in the list may be the bot's answer."""
        await self.find(".row").first.click()
        await expect(self.find("#thread .message .text", has_text=token).first).to_be_visible()

    async def answer(self, words: str) -> None:
        await self.find("#words").fill(words)
        await self.find("#words").press("Control+Enter")
        await is_sent(self.find, words)

    async def show_customer(self) -> Locator:
        """The customer beside the conversation; on small screens it is one touch away."""
        toggle = self.find("#thread-head .customer-toggle")
        if await toggle.is_visible() and await toggle.get_attribute("aria-expanded") != "true":
            await toggle.click()
        await expect(self.find("#customer")).to_be_visible()
        return self.find("#customer")

    async def hide_customer(self) -> None:
        back = self.find("#customer .customer-toggle")
        if await back.is_visible():
            await back.click()


async def stand_alone(agent: Person, locale: str) -> Panel:
    """Sign in with e-mail and password and choose the language."""
    page = await agent.open(f"{agent.demo.app}/sign-in")
    await page.locator("input[name=email]").fill(EMAIL)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("main form button").last.click()
    await page.wait_for_url("**/panel")
    if await page.locator("html").get_attribute("lang") != locale:
        await page.goto(f"{agent.demo.app}/panel/settings")
        await page.locator("#me select[name=locale]").select_option(locale)
        await page.locator("#me button.primary").click()
        await expect(page.locator("html")).to_have_attribute("lang", locale)
    return Panel(page)


async def embedded(agent: Person, locale: str) -> Panel:
    """Open the app in the store's admin as the staff member who speaks this language."""
    admin = agent.demo.store("admin-shopify-demo")
    page = await agent.open(f"{admin}/settings")
    chosen = page.locator("#user")
    if await chosen.input_value() != STAFF[locale]:
        async with page.expect_navigation():
            await chosen.select_option(STAFF[locale])
    await page.goto(f"{admin}/apps/ahlan")
    panel = Panel(page, page.frame_locator("#app-frame"))
    await expect(panel.find("html")).to_have_attribute("lang", locale)
    return panel


class Wire:
    """What an embedded panel asks our server for, and how it proves who asks."""

    def __init__(self, page: Page, app: str) -> None:
        self.asked: list[Request] = []
        self._address = f"{app}/shopify"
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.url.startswith(self._address):
            self.asked.append(request)

    async def check(self) -> None:
        """One document; everything after it by fetch with a bearer token; never a cookie."""
        assert sum(request.is_navigation_request() for request in self.asked) == 1
        fetched = [request for request in self.asked if not request.is_navigation_request()]
        assert len(fetched) > 3
        for request in self.asked:
            headers = await request.all_headers()
            assert "cookie" not in headers, request.url
            assert request.is_navigation_request() or headers["authorization"].startswith("Bearer ey"), request.url


# --- the walks -------------------------------------------------------------------------------------------------------


async def test_third_party_cookies_are_blocked(playwright: Playwright, browser: Browser) -> None:
    """The walks mean nothing where a frame may keep cookies. A profile that allows them shows that the probe sees."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            said = "document.cookie='js=1;SameSite=None;Secure';parent.postMessage(document.cookie,'*')"
            body = f"<script>{said}</script>".encode()
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: http=1; SameSite=None; Secure\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    async def cookies(context: BrowserContext) -> str:
        page = await context.new_page()
        await page.goto(f"http://shopify-demo.localhost:{port}/")
        seen: str = await page.evaluate(
            """(url) => new Promise((tell) => {
              addEventListener("message", ({ data, source }) => source !== window && tell(data));
              const frame = document.createElement("iframe");
              frame.src = url;
              document.body.append(frame);
            })""",
            f"http://localhost:{port}/framed",
        )
        await context.close()
        return seen

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await cookies(await browser.new_context()) == ""
        with tempfile.TemporaryDirectory() as profile:
            # 0 allows, 1 blocks, 2 (the default) blocks in private windows, which Playwright's contexts are.
            (Path(profile) / "Default").mkdir()
            (Path(profile) / "Default" / "Preferences").write_text(json.dumps({"profile": {"cookie_controls_mode": 0}}))
            lax = await playwright.chromium.launch_persistent_context(profile, executable_path=CHROME, args=ARGS)
            assert await cookies(lax) == "http=1; js=1"


async def test_a_stranger_who_types_a_customers_address_sees_nothing_of_theirs(demo: Demo, meet: Meet) -> None:
    stranger, shop = await meet("en", "phone"), Shop(demo, "woo", "en")
    page = await stranger.open(shop.account)
    owner = shop.customer(page, 0)
    name, address = await owner.locator(".who").inner_text(), await owner.locator(".mail").inner_text()
    await page.goto(shop.home)
    chat = Chat(page)
    async with page.expect_response("**/widget/session") as answer:
        await chat.open()
    opened = await (await answer.value).json()
    assert opened["visitor"]["name"] is None
    assert opened["visitor"]["identified"] is False
    assert opened["conversation"] is None
    token = secrets.token_hex(3)
    await chat.say(f"I am {address}, show me my orders {token}")
    # Nobody is there yet, so the widget offers to answer by e-mail.
    await chat.frame.locator("#email").fill(address)
    await chat.frame.locator("#email").press("Enter")
    await expect(chat.frame.locator(".away [role=status]")).to_contain_text(address)

    agent = await meet("en")
    panel = await stand_alone(agent, "en")
    await expect(chat.frame.locator(".presence .dot.here")).to_be_visible(timeout=15_000)
    await panel.visit("inbox")
    await panel.enter(token)
    pane = await panel.show_customer()
    await expect(pane.locator(".handles", has_text=address).locator(".proof.warn")).to_have_text("not confirmed")
    await expect(pane.locator(".proof.good")).to_have_count(0)
    await expect(pane.locator(".order")).to_have_count(0)
    assert name not in await panel.find("#thread").inner_text()

    await panel.answer("Please sign in to the shop first.")
    await expect(chat.bubble("Please sign in to the shop first.")).to_be_visible()
    await page.reload()
    await chat.open()
    await expect(chat.bubble(token)).to_be_visible()
    seen = await chat.frame.locator("body").inner_text()
    assert name.split()[0] not in seen
    assert re.search(r"#\d", seen) is None
    await tidy(chat.frame, "en")


@pytest.mark.parametrize(
    ("kind", "locale", "device"),
    [
        ("woo", "ar", "phone"),
        ("shopify", "he", "phone"),
        ("shopify", "en", "desktop"),
    ],
)
async def test_shopper_and_agent_talk(demo: Demo, meet: Meet, kind: str, locale: str, device: str) -> None:
    """WooCommerce's shoppers are answered in the panel's own window, Shopify's inside the store's admin."""
    asked, answered, thanked = WORDS[locale]
    token = secrets.token_hex(3)
    shopper, shop = await meet(locale, device), Shop(demo, kind, locale)
    page = await shopper.open(shop.home)
    await expect(page.locator("ahlan-widget button.l")).to_be_visible()
    await tidy(page, locale)
    name = await shop.sign_in(page, 1)
    orders = await shop.orders(page)
    assert orders
    await tidy(page, locale)
    await page.goto(shop.home)
    chat = Chat(page)
    await chat.open()
    await chat.say(f"{asked} {token}")
    await tidy(chat.frame, locale)

    agent = await meet(locale, device)
    wire = None
    if kind == "shopify":
        panel = await embedded(agent, locale)
        wire = Wire(panel.page, demo.app)
        await panel.page.reload()
        await expect(panel.find("#overview")).to_be_visible()
    else:
        panel = await stand_alone(agent, locale)
    await panel.visit("inbox")
    await tidy(panel.frame, locale)
    await panel.enter(token)
    await expect(panel.find("#thread-head h2")).to_have_text(name)
    pane = await panel.show_customer()
    await expect(pane.locator(".proof.good").first).to_be_visible()
    for order in orders[:3]:
        await expect(pane.locator(".order-name", has_text=order)).to_have_count(1)
    # The newest; a cart that is open just now stands above it, shut.
    await expect(pane.locator(".order[open] .lines li").first).to_be_visible()
    await tidy(panel.frame, locale)
    await panel.hide_customer()

    await panel.answer(answered)
    await expect(chat.bubble(answered)).to_be_visible()
    await chat.say(f"{thanked} {token}")
    await expect(panel.find(".message.by-shopper .text", has_text=thanked)).to_be_visible()
    await tidy(panel.frame, locale)
    await tidy(chat.frame, locale)
    if wire is None:
        return
    # The admin's own navigation reaches into the frame and does not load it anew.
    await panel.page.locator("#app-nav button[data-href$='/customers']").click()
    await expect(panel.find("#people tr").first).to_be_visible()
    await tidy(panel.frame, locale)
    await wire.check()
    assert await agent.context.cookies(demo.app) == []
    assert await panel.frame.evaluate("document.cookie") == ""
    assert await shopper.context.cookies(demo.app) == []


async def _something_to_return(meet: Meet, shop: Shop, device: str) -> Frame | None:
    """The panel of the first customer who has something that may go back, with its items before them."""
    for customer in range(3):
        shopper = await meet(shop.locale, device)
        page = await shopper.open(shop.home)
        await shop.sign_in(page, customer)
        await page.goto(shop.home)
        await page.locator("ahlan-widget button.l").click()
        await expect(page.locator("ahlan-widget .r iframe")).to_be_visible()
        frame = Chat(page).frame
        await frame.locator("[data-door=orders]").click()
        await expect(frame.locator(".entry").first).to_be_visible()
        for place in range(min(6, await frame.locator(".entry").count())):
            await frame.locator(".entry").nth(place).click()
            await expect(frame.locator(".course")).to_be_visible()
            asked = await frame.locator(".doing .button").count()
            if asked:
                await frame.locator(".doing .button").click()
                await expect(frame.locator(".progress")).to_be_visible()
            if await frame.locator(".stepper").count():
                return frame
            for _ in range(asked + 1):
                await frame.locator(".orders > .bar button").first.click()
            await expect(frame.locator(".entry").first).to_be_visible()
    return None


@pytest.mark.parametrize(("kind", "locale", "device"), [("woo", "ar", "phone"), ("shopify", "en", "desktop")])
async def test_a_shopper_sends_something_back_alone(
    demo: Demo, meet: Meet, kind: str, locale: str, device: str
) -> None:
    frame = await _something_to_return(meet, Shop(demo, kind, locale), device)
    assert frame is not None, "nobody in the demo has anything that may go back"
    go_on = frame.locator("form button[type=submit]")
    await go_on.click()
    await expect(frame.locator("[role=alert]")).not_to_be_empty()
    await frame.locator(".stepper button").nth(1).click()
    await tidy(frame, locale)
    await go_on.click()
    await frame.locator("select").first.select_option("changed_mind")
    await tidy(frame, locale)
    await go_on.click()
    await frame.locator("input[value=refund]").check()
    await go_on.click()
    await expect(frame.locator(".sum.strong")).to_be_visible()
    amount = await frame.locator(".sum.strong bdi").inner_text()
    await tidy(frame, locale)
    await go_on.dblclick()
    title = frame.locator(".orders > .bar h1")
    await expect(title).to_contain_text("R-")
    await expect(frame.locator(".sum.strong bdi")).to_have_text(amount)
    number = await title.inner_text()
    await tidy(frame, locale)
    # Closed and opened again, they are where they were.
    page = frame.page
    await page.reload()
    await page.locator("ahlan-widget button.l").click()
    await expect(page.locator("ahlan-widget .r iframe")).to_be_visible()
    frame = Chat(page).frame
    await frame.locator("[data-door=orders]").click()
    await expect(frame.locator(".orders > .bar h1")).to_have_text(number)
    await frame.locator(".fold summary").last.click()
    await frame.locator(".fold button.link").last.click()
    await expect(frame.locator(".notice.warn")).to_be_visible()


@pytest.mark.parametrize(("kind", "locale", "customer"), [("woo", "en", 2), ("shopify", "ar", 3)])
async def test_an_order_shows_on_the_customers_page(
    demo: Demo, meet: Meet, kind: str, locale: str, customer: int
) -> None:
    shopper, shop = await meet(locale), Shop(demo, kind, locale)
    page = await shopper.open(shop.home)
    name = await shop.sign_in(page, customer)
    before = await shop.orders(page)
    panel = await stand_alone(await meet(locale), locale)
    await panel.page.goto(f"{demo.app}/panel/customers")
    await panel.find("#q").fill(before[0])
    await panel.find("#people a.person", has_text=name).first.click()
    await expect(panel.find(".person-head h1")).to_have_text(name)
    await expect(panel.find(".order-name", has_text=before[0])).to_have_count(1)
    number = await shop.buy(page)
    assert number not in before
    shown = panel.find(".order-name", has_text=number)
    for _ in range(60):
        if await shown.count():
            break
        await asyncio.sleep(1)
        await panel.page.reload()
        await expect(panel.find(".person-head h1")).to_have_text(name)
    await expect(shown).to_have_count(1)
    await expect(panel.find("#moments li").first).to_contain_text(number)


async def test_a_merchant_allows_and_takes_back_a_permission(demo: Demo, meet: Meet) -> None:
    """Shopify asks, not we; the panel believes what the shop says it holds, also when it is taken back elsewhere."""
    panel = await embedded(await meet("he"), "he")
    await panel.visit("stores")
    await panel.find("#store-list h2 a", has_text="Bustan").click()
    ask, back = (panel.find(f"[data-{verb}=read_customer_merge]") for verb in ("ask", "give-back"))
    consent = panel.page.locator("#consent")

    await ask.click()
    await expect(consent.locator("code")).to_have_text("read_customer_merge")
    await consent.get_by_role("button", name="Cancel").click()
    await expect(panel.find(".toast")).to_have_count(1)
    await expect(back).to_have_count(0)

    await ask.click()
    await consent.get_by_role("button", name="Update").click()
    await expect(back).to_be_visible()
    await tidy(panel.frame, "he")

    # Taken back in Shopify itself: nobody told the panel, the webhook and the shop's own word do.
    settings = await panel.page.context.new_page()
    await settings.goto(f"{demo.store('admin-shopify-demo')}/settings")
    await settings.locator("input[value=read_customer_merge]").uncheck()
    await settings.get_by_role("button", name="Save").click()
    await expect(ask).to_be_visible()
    await expect(back).to_have_count(0)


async def test_the_panel_knows_whether_the_theme_shows_the_chat(demo: Demo, meet: Meet) -> None:
    """What `shopify.app.extensions()` says reaches the store's page, with the way to where it is switched on."""
    admin = demo.store("admin-shopify-demo")
    owner = await meet("he")

    async def switch(on: bool) -> None:
        page = await owner.open(f"{admin}/themes")
        await page.locator("input[name=enabled]").set_checked(on)
        # The box says the same before it is saved.
        async with page.expect_navigation():
            await page.get_by_role("button", name="Save").click()
        await expect(page.locator("input[name=enabled]")).to_be_checked(checked=on)
        await page.close()

    await switch(False)
    try:
        panel = await embedded(owner, "he")
        await expect(panel.find("[data-embed-report]")).to_have_attribute("data-embed-told", "no")
        link = panel.find(".notice a.button[target=_top]")
        assert (await link.get_attribute("href") or "").startswith(f"{admin}/themes/current/editor?context=apps&")
        await link.click()
        await panel.page.wait_for_url(f"{admin}/themes/current/editor?**")
    finally:
        await switch(True)
    panel = await embedded(owner, "he")
    await expect(panel.find("[data-embed-report]")).to_have_attribute("data-embed-told", "yes")
    await expect(panel.find(".notice a.button[target=_top]")).to_have_count(0)


async def test_reload_second_tab_and_a_dead_server_lose_nothing(demo: Demo, meet: Meet) -> None:
    shopper, shop = await meet("en"), Shop(demo, "shopify", "en")
    page = await shopper.open(shop.home)
    await shop.sign_in(page, 2)
    await page.goto(shop.home)
    chat, token = Chat(page), secrets.token_hex(3)
    await chat.open()
    await chat.say(f"first {token}")
    await page.reload()
    await chat.open()
    await expect(chat.bubble(f"first {token}")).to_have_count(1)
    other = Chat(await shopper.open(shop.home))
    await other.open()
    await expect(other.bubble(f"first {token}")).to_have_count(1)

    agent = await meet("en")
    panel = await stand_alone(agent, "en")
    await panel.visit("inbox")
    await panel.enter(f"first {token}")
    await panel.answer(f"second {token}")
    await expect(chat.bubble(f"second {token}")).to_have_count(1)
    await expect(other.bubble(f"second {token}")).to_have_count(1)

    dead = demo.web()
    dead.kill()
    await chat.say(f"third {token}")
    await panel.find("#words").fill(f"a draft {token}")
    third = chat.frame.locator(".message.own", has_text=f"third {token}")
    await expect(third.locator(".state.sent, .state.seen")).to_be_visible(timeout=BACK)
    assert demo.web().pid != dead.pid
    await expect(panel.find(".message .text", has_text=f"third {token}")).to_have_count(1, timeout=BACK)
    await expect(other.bubble(f"third {token}")).to_have_count(1, timeout=BACK)
    await expect(panel.find("#words")).to_have_value(f"a draft {token}")
    await panel.answer(f"fourth {token}")
    whole = [f"{word} {token}" for word in ("first", "second", "third", "fourth")]
    for one in (chat, other):
        # A window that lost its line may wait half a minute before it tries anew.
        await expect(one.bubble(token)).to_have_text(whole, timeout=BACK)
    # A held reply is answered with 409.
    while_it_was_away = ("net::ERR_", "WebSocket connection to", "htmx:sse:error", "Failed to fetch", "409 (Conflict)")
    for person in (shopper, agent):
        person.errors[:] = [error for error in person.errors if not any(sign in error for sign in while_it_was_away)]


async def test_by_keyboard_alone(demo: Demo, meet: Meet) -> None:
    shopper, token = await meet("he"), secrets.token_hex(3)
    page = await shopper.open(Shop(demo, "woo", "he").home)
    await expect(page.locator("ahlan-widget button.l")).to_be_visible()
    for _ in range(120):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.localName") == "ahlan-widget":
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("ahlan-widget .r iframe")).to_be_visible()
    chat = Chat(page)
    await expect(chat.frame.locator(".door").first).to_be_visible()
    for _ in range(6):
        await page.keyboard.press("Tab")
        if await chat.frame.evaluate("document.activeElement.className") == "door":
            break
    await page.keyboard.press("Enter")
    await expect(chat.text).to_be_focused()
    await page.keyboard.type(f"בלי עכבר {token}")
    await page.keyboard.press("Enter")
    await expect(chat.bubble(token)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("ahlan-widget [role=dialog]")).to_be_hidden()
    assert await page.evaluate("document.activeElement.localName") == "ahlan-widget", "focus goes back to the launcher"
    await page.keyboard.press("Enter")

    panel = await stand_alone(await meet("he"), "he")
    keys = panel.page.keyboard
    await panel.page.goto(f"{demo.app}/panel/inbox")
    await keys.press("?")
    await expect(panel.find("dialog#keys")).to_be_visible()
    await keys.press("Escape")
    thread, before = panel.find("#thread[data-conversation]"), ""
    # What came in meanwhile may stand above it.
    for _ in range(20):
        await keys.press("j")
        await expect(thread).not_to_have_attribute("data-conversation", before)
        before = await thread.get_attribute("data-conversation") or ""
        if await thread.locator(".message .text", has_text=token).count():
            break
    await expect(panel.find("#thread .message .text", has_text=token).first).to_be_visible()
    await keys.press("r")
    await expect(panel.find("#words")).to_be_focused()
    await keys.type(f"גם כאן {token}")
    await keys.press("Control+Enter")
    await is_sent(panel.find, f"גם כאן {token}")
    await expect(chat.bubble(f"גם כאן {token}")).to_be_visible()
    await keys.press("Escape")
    await keys.press("n")
    await keys.type(f"note {token}")
    await keys.press("Control+Enter")
    await expect(panel.find(".message.is-note .text", has_text=f"note {token}")).to_be_visible()
    await keys.press("Escape")
    await keys.press("a")
    await expect(panel.find("#assign")).not_to_have_value("")
    await keys.press("e")
    await expect(panel.find("#thread-head[data-status=resolved]")).to_be_visible()
    await expect(chat.frame.locator("body")).not_to_contain_text(f"note {token}")


PUBLIC = ("/", "/sign-in", "/sign-up")


# In the other languages: test_panel.py.
@pytest.mark.parametrize("locale", ["he"])
async def test_every_page_is_tidy(demo: Demo, meet: Meet, locale: str) -> None:
    """In the reader's direction, nothing wider than a phone, no error."""
    agent = await meet(locale)
    page = await agent.open(demo.app)
    for path in PUBLIC:
        await _tidy_on_all(page, f"{demo.app}{path}", locale)
    page = (await stand_alone(agent, locale)).page
    await page.set_viewport_size(PHONE["viewport"])
    waiting, seen = ["/panel"], set[str]()
    while waiting:
        path = waiting.pop()
        # One page of each kind: that of another store, customer or rule is made alike.
        if (kind := re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|=[^&]*|#.*", "", path)) in seen:
            continue
        seen.add(kind)
        await page.goto(f"{demo.app}{path}")
        await tidy(page, locale)
        waiting += await page.locator("a[href^='/panel']").evaluate_all(
            "(links) => links.map((link) => link.getAttribute('href'))"
        )
    assert len(seen) > 70


async def _tidy_on_all(page: Page, url: str, locale: str) -> None:
    await page.goto(url)
    for device in DEVICES.values():
        await page.set_viewport_size(device["viewport"])
        await tidy(page, locale)


async def test_the_stores_are_in_order(demo: Demo, meet: Meet) -> None:
    """The demo shows a healthy installation: both connected, the chat seen, nothing to repair."""
    panel = await stand_alone(await meet("en"), "en")
    await panel.page.goto(f"{demo.app}/panel/stores")
    await expect(panel.find("article.store")).to_have_count(2)
    await expect(panel.find("article.store .pill.good")).to_have_count(4)
    await expect(panel.find("article.store .notice")).to_have_count(0)


async def test_a_second_start_says_so_and_breaks_nothing(demo: Demo) -> None:
    second = await demo.launch()
    said, _ = await asyncio.wait_for(second.communicate(), 30)
    assert second.returncode not in (0, None)
    assert f"Ahlan already runs on {demo.data_dir}" in " ".join(said.decode().split())
    assert "Traceback" not in said.decode()
    assert len(demo.processes()) >= 5
    reader, writer = await asyncio.open_connection("127.0.0.1", demo.port)
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_started_again_it_keeps_what_was_said(demo: Demo, meet: Meet) -> None:
    shopper, shop, token = await meet("ar"), Shop(demo, "shopify", "ar"), secrets.token_hex(3)
    page = await shopper.open(shop.home)
    await shop.sign_in(page, 5)
    await page.goto(shop.home)
    chat = Chat(page)
    await chat.open()
    await chat.say(f"قبل التوقف {token}")
    agent = await meet("ar")
    panel = await stand_alone(agent, "ar")
    await panel.visit("inbox")
    await panel.enter(token)
    await panel.answer(f"سنعود {token}")
    await expect(chat.bubble(f"سنعود {token}")).to_be_visible()
    _leave_alone((shopper, agent))
    await page.goto("about:blank")
    await panel.page.goto("about:blank")
    await demo.stop()
    seconds = await demo.start()
    # 20 s on two cores of its own; what else runs here gets its share.
    share = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert seconds <= 20 * share, f"ready after {seconds:.1f} s"
    await page.goto(shop.home)
    await chat.open()
    await expect(chat.bubble(token)).to_have_text([f"قبل التوقف {token}", f"سنعود {token}"])
    await panel.page.goto(f"{demo.app}/panel/inbox")
    await panel.enter(token)
    await panel.answer(f"عدنا {token}")
    await expect(chat.bubble(f"عدنا {token}")).to_be_visible()


def _leave_alone(people: Iterable[Person]) -> None:
    assert [error for person in people for error in person.errors] == []
