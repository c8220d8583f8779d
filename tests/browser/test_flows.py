"""A flow is made on a phone in Arabic, tried, published and switched on; then a shopper walks it in the chat."""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect

from plugin.bot import bots
from plugin.stores import Store
from plugin.team import Agent
from tests.admin_ui.shop import Panel, Shop
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_bot import open_widget
from tests.browser.test_bot import working as working
from tests.browser.test_panel import Open
from tests.browser.test_panel import open_as as open_as
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop

pytestmark = needs_browser
SOON = 30_000


async def add(desk: Page, kind: str) -> None:
    """Add a step of a kind below the last one."""
    adding = desk.locator(".flow-add").last
    await adding.locator("summary").click()
    await adding.locator(f"button[value^='add:{kind}:']").click()
    await expect(desk.locator(f".flow-step.is-{kind}")).to_be_visible(timeout=SOON)


async def test_a_flow_made_on_a_phone_in_arabic_is_walked_in_the_chat(
    panel: Panel, shop: Shop, browser: Browser, open_as: Open, working: None
) -> None:
    store = shop.stores["oud"]
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        bot.enabled = True
        here = await tx.get(Store, store.id)
        assert here is not None
        here.origins = [panel.url]
        owner = await tx.get(Agent, shop.owner.id)
        assert owner is not None
        owner.locale = "ar"
        await bots.save(tx, bot, before, by=shop.owner, languages=panel.app.catalogues.codes)
    desk = await open_as(shop.email, "settings/flows", locale="ar", size="phone")
    await desk.locator("input[name=name]").fill("تغليف الهدايا")
    await desk.locator(".flow-new button").click()
    for code in ("en", "he"):
        await desk.locator(f"input[name=speaks][value={code}]").uncheck(timeout=SOON)
    await desk.locator("#save").click()
    await expect(desk.locator("[id='button.en']")).to_have_count(0, timeout=SOON)
    await desk.locator("[id='button.ar']").fill("تغليف هدية")
    await add(desk, "choice")
    await desk.locator("[id='s1.text.ar']").fill("أي تغليف؟")
    await desk.locator("[id='s1.o0.text.ar']").fill("ورق")
    await desk.locator("[id='s1.o1.text.ar']").fill("علبة")
    await add(desk, "say")
    await desk.locator("[id='s2.text.ar']").fill("يضاف التغليف إلى الطلب.")
    await desk.locator("#walk-over").click()
    await desk.get_by_role("button", name="علبة").click(timeout=SOON)
    await expect(desk.locator(".walk-end")).to_be_visible(timeout=SOON)
    # Nothing is wider than the phone, and it runs from the right.
    assert await desk.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await desk.evaluate("document.documentElement.dir") == "rtl"
    await desk.locator("input[name=on]").check()
    await desk.locator("#publish").click()
    await expect(desk.locator("input[name=on]")).to_have_count(0, timeout=SOON)

    page, chat = await open_widget(browser, panel, store)
    await chat.locator(".starts .chip", has_text="تغليف هدية").click(timeout=SOON)
    said = chat.locator(".message.bot .text")
    await expect(said.last).to_contain_text("أي تغليف؟", timeout=SOON)
    await chat.get_by_role("button", name="علبة").click(timeout=SOON)
    await expect(said.last).to_contain_text("يضاف التغليف", timeout=SOON)
    await page.context.close()
