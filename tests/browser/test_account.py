"""A shopper of a Shopify store and their account there: signed in from the returns page, then a return made inside it.

Everything runs but Shopify itself, whose stand-in signs people in, frames our extension and signs its session tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
import uvicorn
from httpx import ASGITransport
from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page, Route, expect
from sqlalchemy import select

from integrations.shopify.platform import ShopifyPlatform
from integrations.shopify.simulator import Simulator, create_app, extension, oauth, seed, trade
from integrations.shopify.simulator.accounts import session_token
from plugin import bootstrap, stores
from plugin.app import App
from plugin.carrier import Parcel
from plugin.carrier import Place as Parcelled
from plugin.conversations import attachments
from plugin.crm import sync
from plugin.kernel.config import Demo, ShopifyApp
from plugin.kernel.http import Http
from plugin.returns import moves, pages, records, shipping
from plugin.returns.records import ReturnRequest
from plugin.returns.shipping import Wished
from plugin.returns.states import State, Who
from plugin.stores import Store
from tests.browser.chrome import DESKTOP, PHONE, needs_browser
from tests.browser.chrome import strict_browser as strict_browser

pytestmark = needs_browser
PATIENCE = 30_000
PICTURES = os.environ.get("AHLAN_PICTURES", "")
SECRET = "the-secret-of-our-app-in-the-tests-1"


@dataclass
class Place:
    """The shop, our server beside it, and the shopper's order."""

    app: App
    sim: Simulator
    workspace: UUID
    customer: dict[str, Any]
    order: dict[str, Any]

    @property
    def shop(self) -> str:
        return self.sim.shop.storefront_origin

    async def returns(self) -> list[ReturnRequest]:
        async with self.app.db.transaction(self.workspace) as tx:
            return list(await tx.scalars(select(ReturnRequest)))


@contextlib.asynccontextmanager
async def serving(site: Any, listening: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(site, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.02)
    yield
    server.should_exit = True
    await running


def bound() -> tuple[socket.socket, int]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening, listening.getsockname()[1]


@pytest.fixture
async def place(app: App) -> AsyncIterator[Place]:
    (ours, port), (theirs, shop_port) = bound(), bound()
    url, client = f"http://localhost:{port}", "0123456789abcdef"
    sim = create_app(
        None, app_url=url, client_id=client, client_secret=SECRET, base_port=shop_port, seeded=False, time_scale=0.001,
        domain=f"shop-{shop_port}.myshopify.com",
    )  # fmt: skip
    demo = Demo(simulator_url=f"http://127.0.0.1:{shop_port}")
    settings = replace(app.settings, public_url=url, shopify=ShopifyApp(client, SECRET), demo=demo)
    platform = ShopifyPlatform(db=app.db, vault=app.vault, http=Http(transport=ASGITransport(sim)), settings=settings)
    served = replace(app, settings=settings, platforms={**app.platforms, "shopify": platform})
    # Before anything else: what another test's shop was filled with stands for all that this one holds.
    seed.seed(sim.shop, customers=3, orders=0)
    oauth.install(sim.shop)
    session = await platform.admin_session(oauth.id_token(sim.shop))
    async with app.db.transaction(session.workspace_id) as tx:
        store = await stores.get(tx, session.store_id)
        assert store is not None
        connection = store.connection()
    customer = trade.create_customer(
        sim.shop, first_name="نور", last_name="حداد", email="noor@example.com", phone=None, locale="ar"
    )
    first = sim.shop.state.all("products")[0]["variants"][0]["id"]
    order = trade.place_order(sim.shop, [(first, 2)], customer=customer, locale="ar")
    trade.fulfil(sim.shop, order["id"])
    trade.deliver(sim.shop, order["id"])
    read = await platform.read_order(connection, order["admin_graphql_api_id"])
    async with app.db.transaction(session.workspace_id) as tx:
        await sync.apply(tx, store, read)
    async with serving(bootstrap.serve(served), ours), serving(sim, theirs):
        yield Place(served, sim, session.workspace_id, customer, order)
    sim.shop.state.close()


async def test_a_shopper_signs_in_with_their_account_and_returns_something_inside_it(
    place: Place, browser: Browser
) -> None:
    context = await browser.new_context(**PHONE, locale="ar")
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    await page.goto(f"{place.shop}/apps/support/returns?locale=ar")

    # The store's own page says nobody is signed in: the account is the way without a code.
    frame = page.frame_locator("iframe").first
    async with context.expect_page() as opening:
        await frame.get_by_role("button", name="تسجيل الدخول بحسابكم").click(timeout=PATIENCE)
    window = await opening.value
    await window.get_by_role("button", name="noor@example.com").click(timeout=PATIENCE)
    await expect(frame.get_by_text(place.order["name"], exact=True)).to_be_visible(timeout=PATIENCE)
    await expect(frame.get_by_role("button", name="تسجيل الخروج من هنا")).to_be_visible()
    assert window.is_closed() or await window.wait_for_event("close", timeout=PATIENCE) is not None

    await page.goto(f"{place.shop}/ar/account/orders/{place.order['id']}")
    await returned(place, page)
    await states(place, context)
    assert broken == []
    await context.close()


async def returned(place: Place, page: Page) -> None:
    """The extension on the order: choose, say why, see what comes back, confirm."""
    asked: list[dict[str, str]] = []
    page.on(
        "request", lambda one: asked.append({**one.headers, "url": one.url}) if "/widget/account/" in one.url else None
    )
    await (
        page.frame_locator("[title='order action']")
        .get_by_role("button", name="إرجاع أو استبدال")
        .click(timeout=PATIENCE)
    )
    inside = page.frame_locator("[title='order action window']")
    await inside.get_by_label("عدد القطع المُرجعة").fill("1", timeout=PATIENCE)
    await inside.get_by_label("عدد القطع المُرجعة").blur()
    await inside.get_by_label("السبب").select_option("defective")
    await inside.get_by_role("button", name="متابعة").click()
    await expect(inside.get_by_text("تلزم صورة")).to_be_visible(timeout=PATIENCE)
    photo = {"name": "dent.png", "mimeType": "image/png", "buffer": picture()}
    await inside.get_by_label("صور المنتج").set_input_files([photo], timeout=PATIENCE)
    await expect(inside.get_by_text("dent.png")).to_be_visible(timeout=PATIENCE)
    await inside.get_by_role("button", name="متابعة").click()
    await inside.get_by_role("radio").first.check(timeout=PATIENCE)
    await inside.get_by_role("button", name="متابعة").click()
    confirm = inside.get_by_role("button", name="تأكيد الإرجاع")
    await expect(confirm).to_be_visible(timeout=PATIENCE)
    assert await inside.locator("html").get_attribute("dir") == "rtl"
    assert await place.returns() == [], "nothing before it is confirmed"
    await confirm.click()
    await expect(inside.get_by_role("status").first).to_contain_text("إلى المتجر", timeout=PATIENCE)
    (made,) = await place.returns()
    assert (made.verified, made.language, len(made.photos)) == (True, "ar", 1)
    await expect(inside.get_by_role("status").first).to_contain_text(made.number)
    words = [one["authorization"] for one in asked if "authorization" in one]
    assert words, "each with a token of its own, for this customer and five minutes"
    assert all(word.startswith("Bearer ey") for word in words)
    assert len({*words, session_token(place.sim.shop, place.customer["id"])}) == len(words) + 1


def picture() -> bytes:
    """A small PNG."""
    drawn = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(drawn, "PNG")
    return drawn.getvalue()


async def states(place: Place, context: BrowserContext) -> None:
    """Slow, failed and asked once more, nothing to return: in Hebrew, against answers of the test's own."""
    page = await context.new_page()
    await page.clock.install()
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/widget/account/**", held.put)
    target = urlencode({"target": "customer-account.order.action.render", "order": place.order["id"], "locale": "he"})
    await page.goto(f"{place.shop}/account/extension?{target}")

    async def answer(status: int, said: dict[str, Any]) -> None:
        route = await asyncio.wait_for(held.get(), 30)
        if route.request.method == "OPTIONS":
            await route.continue_()
            route = await asyncio.wait_for(held.get(), 30)
        await route.fulfill(status=status, json=said, headers={"access-control-allow-origin": "*"})

    await expect(page.locator("s-skeleton-paragraph")).to_be_visible(timeout=PATIENCE)
    await page.clock.fast_forward(5000)
    await expect(page.get_by_text("זה לוקח יותר זמן מהרגיל")).to_be_visible(timeout=PATIENCE)
    await answer(503, {"error": {"code": "store_away", "message": "החנות לא עונה כרגע.", "what_to_do": ""}})
    await expect(page.get_by_text("החנות לא עונה כרגע.")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name="ניסיון נוסף").click()
    await answer(502, {})
    await expect(page.get_by_text("הטעינה לא הצליחה. דבר לא אבד.")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name="ניסיון נוסף").click()
    line = {
        "id": "1", "title": "T-shirt (M)", "variant": "", "picture": "", "most": 0, "why_not": "הזמן עבר.",
        "until": None, "resolutions": [], "reasons": [], "conditions": [], "photo": False, "instead": [],
    }  # fmt: skip
    await answer(200, {"id": "a"})
    await answer(200, {"returns": []})
    await answer(200, {"lines": [line], "resolutions": {}, "ways": [], "days": []})
    await expect(page.get_by_text("אי אפשר להחזיר דבר מההזמנה הזאת")).to_be_visible(timeout=PATIENCE)
    await expect(page.get_by_text("הזמן עבר.")).to_be_visible()
    await expect(page.get_by_role("button", name="המשך")).to_have_count(0)


async def test_a_return_that_does_not_come_is_not_taken_for_the_one_before(place: Place, browser: Browser) -> None:
    """Two returns of an order: the first is about to be called off, the second is looked at and the net is away."""
    context = await browser.new_context(**PHONE, locale="en")
    place.sim.shop.state.put("sessions", "of-the-test", {"customer": place.customer["id"]})
    await context.add_cookies([{"name": "demo_shop", "value": "of-the-test", "url": place.shop}])
    page = await context.new_page()
    words = extension.words("en")
    known = [{"id": id, "number": number, "state": "requested"} for id, number in (("one", "R1"), ("two", "R2"))]
    nothing: dict[str, Any] = dict.fromkeys(("why", "note", "page", "carrier", "tracking", "tracking_url"), "")
    shown = {
        **known[0], **nothing, "kind": "refund", "resolution": "Money back", "keep": False, "label": None, "slip": None,
        "way": None, "instead": [], "may": ["cancel"], "lines": [],
    }  # fmt: skip
    answers = {"/order": {"id": "a"}, "/orders/a": {"returns": known}, "/returns/one": shown}

    async def answer(route: Route) -> None:
        said = next(
            (body for path, body in answers.items() if route.request.url.partition("?")[0].endswith(path)), None
        )
        allowed = {"access-control-allow-origin": "*", "access-control-allow-headers": "authorization,content-type"}
        await route.fulfill(status=503 if said is None else 200, json=said or {}, headers=allowed)

    await page.route("**/widget/account/**", answer)
    target = urlencode({"target": "customer-account.order.action.render", "order": place.order["id"], "locale": "en"})
    await page.goto(f"{place.shop}/account/extension?{target}")
    await page.get_by_role("button", name=words["cancel"], exact=True).click(timeout=PATIENCE)
    sure = page.get_by_role("button", name=words["cancel_sure"], exact=True)
    await expect(sure).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name=words["look"], exact=True).click()
    await expect(page.get_by_role("button", name=words["again"], exact=True)).to_be_visible(timeout=PATIENCE)
    await expect(sure).to_have_count(0)
    await expect(page.get_by_text("R1", exact=False)).to_have_count(0)
    await context.close()


async def test_a_token_that_does_not_come_is_said_in_the_shoppers_own_words(place: Place, browser: Browser) -> None:
    """Shopify's part fails with an error of its own, in English: it is no sentence for a shopper."""
    context = await browser.new_context(**PHONE, locale="ar")
    place.sim.shop.state.put("sessions", "of-the-test", {"customer": place.customer["id"]})
    await context.add_cookies([{"name": "demo_shop", "value": "of-the-test", "url": place.shop}])
    page = await context.new_page()
    words = extension.words("ar")
    await page.route("**/account/session-token", lambda route: route.abort())
    target = urlencode({"target": "customer-account.order.action.render", "order": place.order["id"], "locale": "ar"})
    await page.goto(f"{place.shop}/account/extension?{target}")
    await expect(page.get_by_text(words["failed"])).to_be_visible(timeout=PATIENCE)
    await expect(page.get_by_text("fetch")).to_have_count(0)
    await page.unroute("**/account/session-token")
    await page.get_by_role("button", name=words["again"], exact=True).click()
    await expect(page.get_by_text(words["items"])).to_be_visible(timeout=PATIENCE)
    await context.close()


async def test_a_return_that_was_left_is_not_asked_for_any_more(place: Place, browser: Browser) -> None:
    """The next one is opened while an answer about the first is on its way."""
    context = await browser.new_context(**PHONE, locale="en")
    place.sim.shop.state.put("sessions", "of-the-test", {"customer": place.customer["id"]})
    await context.add_cookies([{"name": "demo_shop", "value": "of-the-test", "url": place.shop}])
    page = await context.new_page()
    await page.clock.install()
    words = extension.words("en")
    known = [{"id": id, "number": number, "state": "requested"} for id, number in (("one", "R1"), ("two", "R2"))]
    nothing: dict[str, Any] = dict.fromkeys(("why", "note", "page", "carrier", "tracking", "tracking_url"), "")
    rest = {"kind": "refund", "resolution": "Money back", "keep": False, "label": None, "slip": None, "way": None,
            "instead": [], "may": [], "lines": []}  # fmt: skip
    answers = {"/order": {"id": "a"}, "/orders/a": {"returns": known}}
    answers |= {f"/returns/{one['id']}": {**one, **nothing, **rest} for one in known}
    asked: list[str] = []
    held = asyncio.Event()

    async def answer(route: Route) -> None:
        path = route.request.url.partition("?")[0].partition("/account/shopify")[2]
        if route.request.method != "OPTIONS":
            asked.append(path)
            if asked.count("/returns/one") == 2 and path == "/returns/one":
                await held.wait()
        allowed = {"access-control-allow-origin": "*", "access-control-allow-headers": "authorization,content-type"}
        await route.fulfill(json=answers[path], headers=allowed)

    await page.route("**/widget/account/**", answer)
    target = urlencode({"target": "customer-account.order.action.render", "order": place.order["id"], "locale": "en"})
    await page.goto(f"{place.shop}/account/extension?{target}")
    look = page.get_by_role("button", name=words["look"], exact=True)
    await expect(look).to_be_visible(timeout=PATIENCE)

    async def goes_on_until(path: str, times: int) -> None:
        """Time goes on in the page, at the pace of the answers, until this was asked so often."""
        async with asyncio.timeout(PATIENCE / 1000):
            while asked.count(path) < times:
                await page.clock.run_for(500)
                await asyncio.sleep(0.05)

    await goes_on_until("/returns/one", 2)
    await look.click()
    await expect(page.get_by_text("R2")).to_be_visible(timeout=PATIENCE)
    async with page.expect_response("**/returns/one"):
        held.set()
    before = asked.count("/returns/one")
    # Half a minute with the one that is shown: whoever still asked for the other would have done so by then.
    await goes_on_until("/returns/two", 5)
    assert asked.count("/returns/one") == before
    await context.close()


@pytest.mark.parametrize(("locale", "screen"), [("ar", PHONE), ("en", DESKTOP)])
async def test_the_way_back_is_chosen_in_the_account_and_the_return_stands_there_afterwards(
    place: Place, browser: Browser, locale: str, screen: dict[str, Any]
) -> None:
    shopper = await Shopper.at(place, browser, locale, screen)
    await shopper.chooses()
    await shopper.is_refused_what_is_no_longer_there()
    made = await shopper.confirms()
    await shopper.has_the_label(made)
    await shopper.sees_it_on_the_order(made)
    await shopper.calls_it_off(made)
    assert shopper.broken == []
    await shopper.context.close()


@dataclass
class Shopper:
    """Who is signed in at the shop and has our extension open on their order, in their language."""

    place: Place
    context: BrowserContext
    page: Page
    words: dict[str, Any]
    locale: str
    broken: list[str]

    @classmethod
    async def at(cls, place: Place, browser: Browser, locale: str, screen: dict[str, Any]) -> Shopper:
        """At a shop with three ways back and one branch in Haifa."""
        await ways_back(place, "label", "pickup", "store")
        branch = {"kind": "store", "name": "Dukkan", "line1": "7 Palm St", "city": "Haifa", "hours": "Mon-Fri 9-17"}
        async with place.app.db.transaction(place.workspace) as tx:
            store = (await tx.scalars(select(Store))).one()
            await shipping.put_place(tx, store.id, None, branch, None)
            store.widget = {**store.widget, pages.RETURNS_PATH: "/apps/support/returns"}
        context = await browser.new_context(**screen, locale=locale)
        place.sim.shop.state.put("sessions", "of-the-test", {"customer": place.customer["id"]})
        await context.add_cookies([{"name": "demo_shop", "value": "of-the-test", "url": place.shop}])
        page = await context.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        shopper = cls(place, context, page, extension.words(locale), locale, broken)
        await shopper.opens()
        return shopper

    async def opens(self) -> None:
        asked = {"target": "customer-account.order.action.render", "order": self.place.order["id"]}
        await self.page.goto(f"{self.place.shop}/account/extension?{urlencode({**asked, 'locale': self.locale})}")

    def button(self, key: str) -> Any:
        return self.page.get_by_role("button", name=self.words[key], exact=True)

    async def seen(self, name: str) -> None:
        """`AHLAN_PICTURES=folder` keeps a picture, to be looked at."""
        wide = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is wider than the screen"
        if PICTURES:
            width = self.page.viewport_size["width"] if self.page.viewport_size else 0
            await self.page.screenshot(path=f"{PICTURES}/account-{name}-{self.locale}-{width}.png")

    async def chooses(self) -> None:
        """What and what for; then how: each way says what it still needs."""
        words = self.words
        quantity = self.page.get_by_label(words["quantity"])
        await quantity.fill("1", timeout=PATIENCE)
        await quantity.blur()
        await self.page.get_by_label(words["reason"]).select_option("changed_mind")
        await self.button("next").click()
        await self.page.get_by_role("radio").first.check(timeout=PATIENCE)
        await self.button("next").click()
        ways = self.page.get_by_role("group", name=words["way"]).get_by_role("radio")
        await expect(ways).to_have_count(3, timeout=PATIENCE)
        await self.button("next").click()
        await expect(self.page.get_by_text(words["way_missing"])).to_be_visible()
        await ways.nth(2).check()
        await expect(self.page.get_by_role("group", name=words["places"]["store"])).to_be_visible(timeout=PATIENCE)
        await self.button("next").click()
        await expect(self.page.get_by_text(words["place_missing"])).to_be_visible()
        await self.page.get_by_role("radio", name="Dukkan").check()
        await expect(self.page.get_by_text("Mon-Fri 9-17")).to_be_visible()
        await self.seen("places")
        await ways.nth(1).check()
        await self.button("next").click()
        await expect(self.page.get_by_text(words["day_missing"])).to_be_visible()
        await self.page.get_by_label(words["day"]).select_option(index=2)
        await self.seen("way")
        await self.button("next").click()

    async def is_refused_what_is_no_longer_there(self) -> None:
        """The courier stops between the last look and the yes: that is said, nothing was sent, another is chosen."""
        await expect(self.button("confirm")).to_be_visible(timeout=PATIENCE)
        await ways_back(self.place, "label", "store")
        await self.button("confirm").click()
        ways = self.page.get_by_role("group", name=self.words["way"]).get_by_role("radio")
        await expect(ways).to_have_count(2, timeout=PATIENCE)
        words = self.place.app.catalogues.translator(self.locale)
        said = words.gettext("This way of sending it back is not there any more.")
        await expect(self.page.get_by_text(said)).to_be_visible()
        await ways_back(self.place, "label", "pickup", "store")
        await ways.first.check()
        await self.button("next").click()
        await self.button("confirm").wait_for(timeout=PATIENCE)
        await self.button("back").click()
        assert await self.place.returns() == []
        await self.opens()
        await self.chooses()

    async def confirms(self) -> ReturnRequest:
        """The last look names the way; two quick presses are one return."""
        await expect(self.button("confirm")).to_be_visible(timeout=PATIENCE)
        way = shipping.NAMES[shipping.Method.PICKUP]
        told = self.place.app.catalogues.translator(self.locale).gettext(way)
        await expect(self.page.get_by_text(f"{told} · ")).to_be_visible()
        await self.seen("review")
        assert await self.place.returns() == [], "nothing before it is confirmed"
        await self.button("confirm").dblclick()
        await expect(self.page.get_by_role("status").first).to_contain_text(self.words["sent"].split("{{")[0])
        (made,) = await self.place.returns()
        assert (made.method, made.place_id, made.language) == ("pickup", None, self.locale)
        assert made.pickup_on is not None
        assert made.pickup_on > made.created_at.date()
        await self.state(made.number, made.state)
        await expect(self.page.get_by_text(f"{told} · ")).to_be_visible()
        await self.seen("made")
        return made

    async def sees_it_on_the_order(self, made: ReturnRequest) -> None:
        """The block of the order's own page names it, and shows the whole of it inside."""
        asked = {"target": "customer-account.order-status.block.render", "order": self.place.order["id"]}
        await self.page.goto(f"{self.place.shop}/account/extension?{urlencode({**asked, 'locale': self.locale})}")
        await self.state(made.number, "sent")
        await self.seen("block")
        await self.button("look").click()
        await expect(self.page.get_by_text(self.words["then"]["sent_pickup"])).to_be_visible(timeout=PATIENCE)
        await self.seen("block-open")
        await self.button("close").click()
        await expect(self.button("look")).to_be_visible()
        await self.opens()
        await self.state(made.number, "sent")

    async def state(self, number: str, state: str) -> None:
        said = self.words["made"].replace("{{number}}", f"\u2068{number}\u2069")
        said = said.replace("{{state}}", self.words["state"][state])
        await expect(self.page.get_by_text(said)).to_be_visible(timeout=PATIENCE)

    async def has_the_label(self, made: ReturnRequest) -> None:
        """The merchant says yes and puts a label: it comes by itself, and is there later; so is the own page."""
        place, words = self.place, self.words
        paper = await attachments.inspect("label.png", picture())
        async with place.app.db.transaction(place.workspace) as tx:
            request = await records.held(tx, made.id)
            if request.state == State.REQUESTED:
                await moves.approve(tx, request, by=Who.SYSTEM)
            kept = await attachments.save(tx, paper, uploader="system", store_id=request.store_id)
            await moves.label(tx, request, file=UUID(kept["id"]), tracking_number="EZ1000", by=Who.SYSTEM)
        label = self.page.get_by_role("link", name=words["label"])
        await expect(label).to_be_visible(timeout=PATIENCE)
        await self.opens()
        await self.state(made.number, "sent")
        await expect(self.page.get_by_text(words["then"]["sent_pickup"])).to_be_visible()
        await expect(self.page.get_by_text("EZ1000")).to_be_visible()
        await self.seen("label")
        address = await label.get_attribute("href")
        assert address is not None
        assert address.startswith(f"{place.app.settings.public_url}/files/")
        paged = await self.context.request.get(address)
        assert (paged.status, paged.headers["content-type"]) == (200, "image/png")
        async with self.context.expect_page() as opening:
            await self.page.get_by_role("link", name=words["page"]).click()
        own = await opening.value
        assert own.url.startswith(f"{place.shop}/apps/support/returns?")
        await expect(own.frame_locator("iframe").first.get_by_text(made.number).first).to_be_visible(timeout=PATIENCE)
        await own.close()

    async def calls_it_off(self, made: ReturnRequest) -> None:
        """Asked once more first; then something else can be returned, and the one before is a press away."""
        await self.button("cancel").click()
        await self.button("cancel_sure").click()
        await self.state(made.number, "cancelled")
        await expect(self.page.get_by_role("link", name=self.words["label"])).to_have_count(0)
        assert [one.state for one in await self.place.returns()] == ["cancelled"]
        await self.button("anew").click()
        await expect(self.page.get_by_label(self.words["quantity"])).to_be_visible(timeout=PATIENCE)
        await self.button("back").click()
        await self.state(made.number, "cancelled")


async def ways_back(place: Place, *methods: str) -> None:
    """What the shop offers to get its goods back; nothing is bought by itself."""
    road = Parcelled(line1="1 Store Road", city="Haifa", country="IL")
    wished = Wished("easypost", "a-key", road, Parcel(1000), dict.fromkeys(methods, ()), (), False)
    async with place.app.db.transaction(place.workspace) as tx:
        store = (await tx.scalars(select(Store))).one()
        await shipping.save(tx, place.app.vault, store.id, wished, actor="system")
