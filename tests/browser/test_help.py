"""The help centre in a real browser: a merchant answers questions, an agent writes, a shopper finds and votes."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from plugin.knowledge import articles, reading, search
from plugin.knowledge.articles import Kind
from tests.admin_ui.shop import Panel, Shop
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_panel import Open
from tests.browser.test_panel import open_as as open_as
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop

pytestmark = needs_browser
SOON = 15_000


async def test_a_merchant_answers_questions_and_publishes_what_was_written(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    page = await open_as(shop.email, "help")
    await page.get_by_role("link", name="Answer a few questions").click()
    await page.get_by_role("link", name="How do I return something?").click()
    await page.fill("[name=days]", "14")
    await page.get_by_label("We pay for the way back.").check()
    await page.fill("[name=refund]", "3")
    await page.get_by_role("button", name="Write the article").click()
    await expect(page.locator("#preview")).to_contain_text("within 14 days", timeout=SOON)
    await page.get_by_role("button", name="Publish now").click()
    await expect(page.locator(".saved")).to_contain_text("Published", timeout=SOON)
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        (one,) = await articles.listed(tx, Kind.ARTICLE)
    assert (one.state("en"), one.state("ar")) == ("published", "draft")


async def test_an_agent_sees_what_they_write_and_puts_it_into_a_reply(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "help/new?kind=snippet")
    await page.fill("#f-title", "Gift wrapping")
    await page.locator("#f-body").press_sequentially("We **wrap**")
    await expect(page.locator("#preview strong")).to_have_text("wrap", timeout=SOON)
    await page.get_by_role("button", name="Save and publish").click()
    await expect(page.locator(".saved")).to_contain_text("Published", timeout=SOON)
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        await search.index(tx, [one.article.id for one in await articles.listed(tx, Kind.SNIPPET)])
    await page.goto(f"{panel.url}/panel/inbox/{shop.talks['emma']}")
    await page.locator("#words").press_sequentially("Hi, /gift", delay=20)
    await expect(page.locator("#palette [role=option]")).to_contain_text("Gift wrapping", timeout=SOON)
    await page.keyboard.press("Enter")
    await expect(page.locator("#words")).to_have_value("Hi, We wrap", timeout=SOON)


@pytest.mark.parametrize("locale", ["en", "ar"])
async def test_a_shopper_finds_an_answer_while_typing_and_says_that_it_did_not_help(
    panel: Panel, shop: Shop, browser: Browser, locale: str
) -> None:
    words = {"en": ("Delivery times", "delvery"), "ar": ("مدة التوصيل", "توصيل")}
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        row = await articles.create(tx, shop.owner.id, Kind.ARTICLE, locale)
        await articles.write(tx, row, locale, words[locale][0], "5", by=shop.owner.id)
        await articles.publish(tx, row, locale, by=shop.owner)
        await search.index(tx, [row.id])
    context = await browser.new_context(locale=locale, viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.goto(f"{panel.url}/help/{shop.stores['oud'].public_key}/{locale}")
    await page.locator("#hc-q").press_sequentially(words[locale][1], delay=20)
    await expect(page.locator("#hc-found [role=option]")).to_have_count(1, timeout=SOON)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text(words[locale][0], timeout=SOON)
    await page.locator("[name=helped][value=no]").click()
    await page.locator("[name=reason][value=missing]").check(timeout=SOON)
    await page.locator("#hc-vote [data-why] button").click()
    await expect(page.locator("#hc-vote form")).to_have_count(0, timeout=SOON)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing stands out on a phone"
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        (told,) = await reading.told(tx, 5)
    assert (told.failed, told.reasons) == (1, {"missing": 1})
    await context.close()
