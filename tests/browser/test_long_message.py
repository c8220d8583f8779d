"""A message of 20 000 characters through the whole chat: what fits is answered, what does not is refused in words."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from plugin.bot import bots
from plugin.conversations.messages import MAX_TEXT
from plugin.stores import Store
from tests.admin_ui.shop import Panel, Shop
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_bot import SOON, open_chat
from tests.browser.test_bot import working as working
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop

pytestmark = needs_browser

STORY = "أين طلبي؟ " * 2_000
PASTE = """(field, text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    field.focus();
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    document.execCommand("insertText", false, text);
}"""


@pytest.mark.usefixtures("working")
async def test_20_000_characters_are_answered_as_far_as_they_fit(panel: Panel, shop: Shop, browser: Browser) -> None:
    store = shop.stores["oud"]
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        bot.enabled = True
        here = await tx.get(Store, store.id)
        assert here is not None
        here.origins = [panel.url]
        await bots.save(tx, bot, before, by=shop.owner, languages=panel.app.catalogues.codes)
    page, chat = await open_chat(browser, panel, store)
    words = chat.locator("textarea")
    await words.evaluate(PASTE, STORY)
    assert len(await words.input_value()) == MAX_TEXT
    await expect(chat.locator(".composer .note")).to_contain_text("رسالة ثانية")
    await words.press("Enter")
    await expect(chat.locator(".composer .note")).to_be_hidden()
    await expect(chat.locator(".message.bot .text")).not_to_be_empty(timeout=SOON)
    sent = await chat.locator(".message.own .text").inner_text()
    assert MAX_TEXT - len(" ") <= len(sent) <= MAX_TEXT
    # Past the field's own limit the server has one too; it says so, and the chat goes on.
    await words.evaluate("(field, text) => { field.removeAttribute('maxlength'); field.value = text; }", STORY)
    await words.press("Enter")
    await expect(chat.get_by_text("أكبر مما يمكن إرساله")).to_be_visible(timeout=SOON)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.context.close()
