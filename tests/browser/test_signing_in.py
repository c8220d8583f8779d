"""Signing in, in a real browser: two steps from picture to code, and live updates where streams are held back."""

from __future__ import annotations

import asyncio
import re

import pyotp
from playwright.async_api import Route, expect
from sqlalchemy import text

from plugin.team import second_factor
from tests.admin_ui.shop import PASSWORD, Panel, Shop
from tests.browser.chrome import needs_browser, strict_browser
from tests.browser.test_panel import Open, has_read, hears, open_as, panel, shop, shopper_writes

__all__ = ["open_as", "panel", "shop", "strict_browser"]

pytestmark = needs_browser


async def test_two_steps_are_set_up_and_then_asked_for(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "settings/security", size="phone")
    await page.click("#second-step .primary")
    await expect(page.locator(".qr")).to_be_visible()
    assert await page.evaluate("document.querySelector('.qr').naturalWidth") > 100, "the policy lets the picture in"
    await page.click("summary")
    secret = await page.inner_text(".key")
    await page.fill("#f-code", "000000")
    await page.press("#f-code", "Enter")
    await expect(page.locator("#second-step .error")).to_contain_text("not right")
    await page.fill("#f-code", pyotp.TOTP(secret).now())
    await page.press("#f-code", "Enter")
    codes = page.locator(".recovery code")
    await expect(codes).to_have_count(second_factor.RECOVERY_CODES)
    recovery = await codes.first.inner_text()
    await page.reload()
    await expect(page.locator("#second-step .pill.good")).to_be_visible()
    await expect(codes).to_have_count(0)

    await page.context.clear_cookies()
    await page.goto(f"{panel.url}/sign-in?next=/panel/team")
    await page.fill("[name=email]", shop.email)
    await page.fill("[name=password]", PASSWORD)
    await page.click("main .primary")
    await expect(page.locator("h1")).to_have_text("Second step")
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE second_factors SET last_step = 0"))
    await page.fill("#f-code", pyotp.TOTP(secret).now())
    await page.click("main .primary")
    await page.wait_for_url(re.compile("/panel/team$"))
    assert recovery


async def test_where_streams_are_held_back_news_come_over_a_socket(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "settings")

    async def hold(route: Route) -> None:
        if "/live/ticket" in route.request.url:
            await route.continue_()
        else:
            await asyncio.sleep(60)

    await page.route("**/panel/live**", hold)
    await page.goto(f"{panel.url}/panel/inbox/{shop.talks['emma']}")
    async with page.expect_websocket(timeout=40_000) as socket:
        pass
    assert "/live/socket?ticket=" in (await socket.value).url
    await hears(page)
    await shopper_writes(panel.app, shop, "emma", "Still there?")
    await expect(page.locator(".message .text").last).to_have_text("Still there?")
    async with page.expect_websocket(timeout=40_000):
        await page.goto(f"{panel.url}/panel/stores")
    await hears(page)
    await has_read(panel.app, shop, 120)
    await expect(page.locator(".progress", has_text="120 of about 500")).to_have_count(1)
