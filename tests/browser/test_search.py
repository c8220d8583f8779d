"""Searching in a real browser: the key that leads there from anywhere, and the message that a result leads to."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.async_api import expect

from plugin.app import App
from plugin.conversations import messages, search
from plugin.conversations.conversations import Conversation
from tests.admin_ui.shop import Shop
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_panel import Open
from tests.browser.test_panel import open_as as open_as
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop

pytestmark = needs_browser
PATIENCE = 30_000


@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_from_anywhere_to_the_message(app: App, shop: Shop, open_as: Open, size: str) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["emma"])
        assert talk is not None
        await messages.note(tx, talk, shop.owner, uuid4(), "the Xylophone is here")
        for number in range(60):
            await messages.note(tx, talk, shop.owner, uuid4(), f"line {number}\n\nof many")
    await search.drain(app)
    page = await open_as(shop.email, "customers", size=size)
    await page.keyboard.press("Control+k")
    await expect(page.locator("#find")).to_be_focused(timeout=PATIENCE)
    await page.keyboard.type("xylophone")
    await page.keyboard.press("Enter")
    await expect(page.locator(".row-hit mark")).to_have_text("Xylophone", timeout=PATIENCE)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.click(".row:has(.row-hit)")
    found = page.locator(".message.is-found")
    await expect(found).to_contain_text("the Xylophone is here", timeout=PATIENCE)
    await expect(found).to_be_in_viewport(timeout=PATIENCE)
    assert await page.evaluate("CSS.highlights.get('found').size") == 1
    # Whoever writes meanwhile does not pull the page away from it.
    await page.evaluate("document.dispatchEvent(new CustomEvent('htmx:after:settle'))")
    await expect(found).to_be_in_viewport()


async def test_the_key_is_on_the_list_of_keys(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "inbox")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_contain_text("Search all conversations, from anywhere", timeout=PATIENCE)
    await page.keyboard.press("Control+k")
    await expect(page.locator("#keys")).to_be_visible()
