"""The dialog of an order in a real browser: open, choose less, confirm the money, and see it beside the customer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import uvicorn
from playwright.async_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

import admin_ui.routes
from plugin import team
from plugin.kernel.web import RequestId, Web
from tests.actions.conftest import Till
from tests.actions.conftest import shopify_till as shopify_till
from tests.actions.conftest import world as world
from tests.actions.test_panel import TEMPLATES
from tests.browser.chrome import DESKTOP, PHONE, needs_browser

pytestmark = needs_browser
PATIENCE = 20_000


@pytest.fixture
async def site(shopify_till: Till) -> AsyncIterator[str]:
    """The panel of the till behind uvicorn, in this very loop."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://localhost:{listening.getsockname()[1]}"
    ours = replace(shopify_till.app, settings=replace(shopify_till.app.settings, public_url=url))
    web = Web(ours.catalogues, [TEMPLATES], url)
    app = Starlette(
        routes=[
            Route("/assets/{digest}/{name:path}", web.assets.serve),
            *admin_ui.routes.routes(ours, web),
        ],
        exception_handlers=dict(web.handlers()),
        middleware=[Middleware(RequestId)],
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.02)
    yield url
    server.should_exit = True
    await running


async def page_of(till: Till, site: str, browser: Browser, device: dict[str, object]) -> Page:
    async with till.app.db.transaction(till.workspace) as tx:
        secret = await team.open_session(tx, till.agent, "test")
    context = await browser.new_context(**device)
    await context.add_cookies([{"name": "ahlan", "value": f"{till.workspace.hex}.{secret}", "url": site}])
    page = await context.new_page()
    await page.goto(f"{site}/panel/customers/{(await till.ours()).customer_id}")
    return page


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_money_is_counted_anew_confirmed_and_stands_beside_the_customer(
    shopify_till: Till, site: str, browser: Browser, device: dict[str, object]
) -> None:
    till = shopify_till
    page = await page_of(till, site, browser, device)
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    opener = page.get_by_role("button", name="Refund, cancel and more")
    await expect(opener).to_be_visible(timeout=PATIENCE)
    if device is DESKTOP:
        await page.keyboard.press("d")
    else:
        await opener.click()
    dialog = page.locator("#act")
    await dialog.get_by_role("button", name="Refund All of it").click(timeout=PATIENCE)
    confirm = dialog.locator(".act-money")
    await expect(confirm).to_be_visible(timeout=PATIENCE)
    whole = await confirm.inner_text()
    two = dialog.locator("input[type=number][max='2']")
    await two.fill("1")
    await two.blur()
    await expect(confirm).not_to_have_text(whole, timeout=PATIENCE)
    await confirm.click()
    await expect(dialog.get_by_text("On its way to the store.")).to_be_visible(timeout=PATIENCE)
    await till.work()
    await expect(dialog.locator(".act-big.good")).to_be_visible(timeout=PATIENCE)
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(page.locator(".order .parcel").get_by_text("Refund ·")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator("#moments").get_by_text("gave back")).to_be_visible(timeout=PATIENCE)
    assert len(await till.refunds()) == 1
    assert broken == []
    await page.context.close()


async def test_escape_leaves_everything_as_it_was(shopify_till: Till, site: str, browser: Browser) -> None:
    page = await page_of(shopify_till, site, browser, DESKTOP)
    await page.get_by_role("button", name="Refund, cancel and more").click(timeout=PATIENCE)
    await page.locator("#act .act-choice").first.wait_for(timeout=PATIENCE)
    await page.keyboard.press("Escape")
    await expect(page.locator("#act")).not_to_be_visible(timeout=PATIENCE)
    assert await shopify_till.refunds() == []
    await page.context.close()
