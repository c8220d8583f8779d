"""A shopper changes an order on a phone, in three languages: looks, says yes, sees it done, orders the same again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, Page, expect
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.middleware import Middleware

import plugin.widget.routes as widget_routes
from plugin.crm.orders import Fulfilment
from plugin.crm.visitors import Visitor
from plugin.kernel.web import RequestId, Web
from plugin.returns.proof import OrderProof
from plugin.returns.self_service import Rules
from plugin.stores import Store
from tests.actions.conftest import Till
from tests.actions.conftest import shopify_till as shopify_till
from tests.actions.conftest import world as world
from tests.actions.test_by_shopper import ALL, allow, told
from tests.browser.chrome import PHONE, needs_browser

pytestmark = needs_browser
PATIENCE = 20_000


@pytest.fixture
async def site(shopify_till: Till) -> AsyncIterator[str]:
    """The widget of the till behind uvicorn, in this very loop."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://localhost:{listening.getsockname()[1]}"
    ours = replace(shopify_till.app, settings=replace(shopify_till.app.settings, public_url=url))
    web = Web(ours.catalogues, [Path(widget_routes.__file__).parent / "templates"], url)
    app = Starlette(
        routes=widget_routes.routes(ours, web), exception_handlers=dict(web.handlers()),
        middleware=[Middleware(RequestId)],
    )  # fmt: skip
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.02)
    yield url
    server.should_exit = True
    await running


@pytest.fixture
async def proven(shopify_till: Till, site: str, browser: Browser) -> AsyncIterator[Page]:
    """The order's page on a phone, in Hebrew: whose order it is was proved."""
    till = shopify_till
    await allow(till, ALL)
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.connection.store_id)
        assert store is not None
        key = store.public_key
    context = await browser.new_context(**PHONE)
    page = await context.new_page()
    await page.goto(f"{site}/widget/page?store={key}&locale=he")
    await expect(page.locator("form .field").first).to_be_visible(timeout=PATIENCE)
    await prove(till)
    yield page
    await context.close()


async def prove(till: Till) -> None:
    """The one visitor that there is gave the order's code."""
    async with till.app.db.transaction(till.workspace) as tx:
        visitor = await tx.scalar(select(Visitor.id).where(Visitor.workspace_id == till.workspace))
        tx.add(
            OrderProof(
                store_id=till.connection.store_id, visitor_id=visitor, order_id=till.order_id, way="email",
                expires_at=func.now(), proved_at=func.now(), ends_at=func.now() + timedelta(hours=1),
            )
        )  # fmt: skip


async def test_the_picture_of_a_parcel_has_a_row_of_its_own_and_an_old_day_its_year(
    shopify_till: Till, proven: Page
) -> None:
    till, page = shopify_till, proven
    picture = "https://carrier.example/left.svg"
    drawn = "<svg xmlns='http://www.w3.org/2000/svg' width='900' height='600'/>"
    await page.route(picture, lambda route: route.fulfill(content_type="image/svg+xml", body=drawn))
    long_ago = datetime.now(UTC) - timedelta(days=400)
    async with till.app.db.transaction(till.workspace) as tx:
        tx.add(
            Fulfilment(
                store_id=till.connection.store_id, order_id=till.order_id, order_external_id=till.order,
                external_id="f1", version=long_ago, status="delivered", carrier="DHL",
                tracking_number="JD949858903IL", tracking_url="", shipped_at=long_ago, delivered_at=long_ago,
                proof_url=picture,
            )
        )  # fmt: skip
    await page.reload()
    await page.locator(".entry").first.click(timeout=PATIENCE)
    image = page.locator(".parcel .proof img")
    await expect(image).to_be_visible(timeout=PATIENCE)
    words = await page.locator(".parcel > .words").bounding_box()
    parcel = await page.locator(".parcel").bounding_box()
    shown = await image.bounding_box()
    assert words is not None
    assert parcel is not None
    assert shown is not None
    for part in (".title", ".detail"):
        line = await page.locator(f".parcel > .words > {part}").bounding_box()
        assert line is not None
        assert line["height"] < 35, "name and number stand in a line each"
    assert shown["y"] >= words["y"] + words["height"]
    assert shown["width"] > parcel["width"] * 0.8
    shipped = await page.locator(".course li .detail").nth(1).inner_text()
    assert str(long_ago.year) in shipped, "the same day of another year would read alike"


WORDS = {
    "en": ("Change what is in it", "Yes, change the order", "The order is changed.", "Back to the order"),
    "ar": ("تغيير محتوى الطلب", "نعم، تغيير الطلب", "تم تغيير الطلب.", "العودة إلى الطلب"),
    "he": ("שינוי הפריטים", "כן, לשנות את ההזמנה", "ההזמנה שונתה.", "חזרה להזמנה"),
}


async def opened(till: Till, site: str, browser: Browser, language: str) -> tuple[Page, list[str]]:
    """The order on a phone, proven to be theirs; what breaks in the page is in the list."""
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.connection.store_id)
        assert store is not None
        key = store.public_key
    context = await browser.new_context(**PHONE)
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    await page.goto(f"{site}/widget/page?store={key}&locale={language}")
    await expect(page.locator("form .field").first).to_be_visible(timeout=PATIENCE)
    await prove(till)
    await page.reload()
    await page.locator(".entry").first.click(timeout=PATIENCE)
    return page, broken


@pytest.mark.parametrize("language", ["en", "ar", "he"])
async def test_one_less_on_a_phone(shopify_till: Till, site: str, browser: Browser, language: str) -> None:
    till = shopify_till
    change, yes, done, back = WORDS[language]
    await allow(till, ALL)
    page, broken = await opened(till, site, browser, language)
    await page.get_by_role("button", name=change).click(timeout=PATIENCE)
    row = page.locator(".goods", has=page.locator("output", has_text="2"))
    await row.locator(".stepper button").first.click(timeout=PATIENCE)
    await page.locator("form button[type=submit]").click()
    sure = page.get_by_role("button", name=yes)
    await expect(sure).to_be_visible(timeout=PATIENCE)
    assert till.wire.writes == []
    wide = await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert wide, "nothing hangs over the side"
    await sure.click()
    await expect(page.locator(".notice svg").first).to_be_visible(timeout=PATIENCE)
    await till.work()
    await expect(page.get_by_text(done)).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name=back).click()
    await expect(page.locator(".course")).to_be_visible(timeout=PATIENCE)
    assert len(await till.refunds()) == 1
    assert broken == []
    await page.context.close()


@pytest.mark.parametrize("late", ["before the look", "after it"])
async def test_what_ended_meanwhile_becomes_a_request_with_one_press(
    shopify_till: Till, site: str, browser: Browser, late: str
) -> None:
    """The button was there when the order was opened: who presses it later is helped on, not refused twice."""
    till = shopify_till
    await allow(till, ALL)
    page, broken = await opened(till, site, browser, "en")
    cancel = page.get_by_role("button", name="Cancel the order", exact=True)
    await expect(cancel).to_be_visible(timeout=PATIENCE)
    if late == "before the look":
        await allow(till, Rules())
    await cancel.click()
    if late == "after it":
        yes = page.get_by_role("button", name="Yes, cancel the order")
        await expect(yes).to_be_visible(timeout=PATIENCE)
        await allow(till, Rules())
        await yes.click()
    await expect(page.get_by_text("This shop does that itself.")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name="Ask the shop to do it").click()
    await expect(page.get_by_text("The shop knows now and answers in the conversation.")).to_be_visible(
        timeout=PATIENCE
    )
    assert till.wire.writes == []
    assert any("Please cancel order" in said for said in await told(till))
    assert broken == []
    await page.context.close()


async def reopened(page: Page, screen: str, given: dict[str, object]) -> None:
    """The page as whoever left this screen open finds it again."""
    # The order that is still coming would be what was left.
    await expect(page.locator(".doing button").first).to_be_visible(timeout=PATIENCE)
    await page.evaluate(
        "at => localStorage.setItem(Object.keys(localStorage).find((one) => one.endsWith('flow')), "
        "JSON.stringify({ at }))",
        {"screen": screen, "given": given},
    )
    await page.reload()


async def test_the_code_for_the_counter_stands_on_the_page_of_a_return(
    shopify_till: Till, site: str, browser: Browser
) -> None:
    page, broken = await opened(shopify_till, site, browser, "ar")
    drawn = "<svg xmlns='http://www.w3.org/2000/svg' width='200' height='200'/>"
    await page.route("**/code.svg", lambda route: route.fulfill(content_type="image/svg+xml", body=drawn))
    told = {
        "id": "R" * 22, "number": "R-1004", "order": {"id": str(shopify_till.order_id), "name": "#1004"},
        "state": "sent",
        "steps": [{"state": "sent", "at": datetime.now(UTC).isoformat()}], "resolution": "Money back",
        "kind": "refund", "keep": False, "cash": {"amount": 31950, "currency": "ILS", "exponent": 2}, "why": "",
        "note": "", "carrier": "USPS", "tracking": "94", "label": "/code.svg", "slip": "/slip.pdf",
        "way": {"code": "code", "words": "With a code"}, "instead": [], "lines": [], "may": [], "owed": None,
    }  # fmt: skip
    await page.route(f"**/widget/returns/{'R' * 22}", lambda route: route.fulfill(json=told))
    await page.goto(f"{page.url}&return={'R' * 22}")
    code = page.locator("img.qr")
    await expect(code).to_be_visible(timeout=PATIENCE)
    assert await code.evaluate("one => one.naturalWidth") == 200
    assert await code.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)", (
        "in the dark too"
    )
    papers = page.locator(".part", has=code)
    await expect(papers.locator("a")).to_have_count(2)
    title = page.locator(".bar h1")
    await expect(title).to_contain_text("R-1004")
    room = await title.evaluate(
        "one => parseFloat(getComputedStyle(one).lineHeight) / parseFloat(getComputedStyle(one).fontSize)"
    )
    assert room >= 1.65, "what hangs below an Arabic line is not cut"
    assert broken == []
    await page.context.close()


@pytest.mark.parametrize("keep", [True, False])
async def test_whoever_keeps_the_goods_is_not_asked_how_they_come_back(
    shopify_till: Till, site: str, browser: Browser, keep: bool
) -> None:
    page, broken = await opened(shopify_till, site, browser, "en")
    price = {"amount": 2600, "currency": "ILS", "exponent": 2}
    line = {
        "id": "l1", "title": "روب", "variant": "", "most": 1, "price": price, "picture": "", "until": None,
        "reasons": [{"code": "style", "words": "Not my style", "photo": False, "children": []}], "conditions": [],
        "photo": False, "resolutions": ["refund"], "instead": [], "why_not": "",
    }  # fmt: skip
    offer = {
        "lines": [line], "resolutions": {"refund": "Money back"}, "open": [], "days": [], "any": False, "keeps": True,
        "ways": [{"code": "own", "words": "By post"}, {"code": "label", "words": "With a label"}],
    }  # fmt: skip
    decided = {
        "digest": "d", "refused": [], "lines": [{"id": "l1", "quantity": 1, "goods": price}], "keep": keep,
        "cash": price, "capped": False, "review": False,
    }  # fmt: skip
    await page.route("**/offer?gift=0", lambda route: route.fulfill(json=offer))
    await page.route("**/decision", lambda route: route.fulfill(json=decided))
    await reopened(page, "back", {"order": str(shopify_till.order_id), "step": 1})
    forward = page.locator("form button[type=submit]")
    await page.locator(".stepper button").last.click(timeout=PATIENCE)
    await forward.click()
    await page.locator("form select").select_option("style", timeout=PATIENCE)
    await forward.click()
    await page.get_by_text("Money back").click(timeout=PATIENCE)
    await forward.click()
    if keep:
        await expect(page.get_by_text("Keep the goods: nothing has to be sent back.")).to_be_visible(timeout=PATIENCE)
        await expect(page.locator(".progress")).to_have_text(re.compile("4.+4"))
    else:
        await expect(page.locator("input[name=way]")).to_have_count(2, timeout=PATIENCE)
        await expect(page.locator(".progress")).to_have_text(re.compile("4.+5"))
    assert broken == []
    await page.context.close()
