"""The help centre in a real browser: a merchant answers questions, an agent writes, a shopper finds and votes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, expect

from plugin.knowledge import articles, reading, search, site
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
    body = page.locator("#f-body")
    await body.press_sequentially("We ")
    await page.keyboard.press("Control+b")
    await page.keyboard.type("wrap")
    await expect(page.locator("#preview strong")).to_have_text("wrap", timeout=SOON)
    await expect(body).to_have_value("We **wrap**")
    # Closed before it was saved: nothing is lost, and nothing is put over what is there without being asked.
    await page.goto(f"{panel.url}/panel/help/new?kind=snippet")
    await expect(page.locator("#unsaved")).to_be_visible(timeout=SOON)
    await expect(body).to_have_value("")
    await page.get_by_role("button", name="Go on with them").click()
    await expect(body).to_have_value("We **wrap**")
    await expect(page.locator("#preview strong")).to_have_text("wrap", timeout=SOON)
    other = await page.context.new_page()
    await other.goto(f"{panel.url}/panel/help/new?kind=snippet")
    await expect(other.locator("#unsaved")).to_be_visible(timeout=SOON)
    await other.get_by_role("button", name="Throw them away").click()
    await other.fill("#f-body", "Another one")
    await other.close(run_before_unload=True)
    await page.get_by_role("button", name="Save and publish").click()
    await expect(page.locator(".saved")).to_contain_text("Published", timeout=SOON)
    await page.goto(f"{panel.url}/panel/help/new?kind=snippet")
    await expect(body).to_have_value("")
    # What was saved is not offered again; what somebody began beside it and did not save is.
    await page.get_by_role("button", name="Go on with them").click(timeout=SOON)
    await expect(body).to_have_value("Another one")
    await page.goto(f"{panel.url}/panel/help/new?kind=snippet")
    await page.get_by_role("button", name="Throw them away").click(timeout=SOON)
    await page.goto(f"{panel.url}/panel/help/new?kind=snippet")
    await expect(page.locator("#unsaved")).to_be_hidden()
    await page.evaluate("localStorage.setItem(`ahlan:words:${document.body.dataset.wordsWhose}:x:en`, '{}')")
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        await search.index(tx, [one.article.id for one in await articles.listed(tx, Kind.SNIPPET)])
    await page.goto(f"{panel.url}/panel/inbox/{shop.talks['emma']}")
    await page.locator("#words").press_sequentially("Hi, /gift", delay=20)
    await expect(page.locator("#palette [role=option]")).to_contain_text("Gift wrapping", timeout=SOON)
    await page.keyboard.press("Enter")
    await expect(page.locator("#words")).to_have_value("Hi, We wrap", timeout=SOON)
    await page.locator("form[action='/sign-out'] button").first.click()
    await page.wait_for_url("**/sign-in**")
    assert await page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('ahlan:words'))") == []


async def test_enter_in_the_field_that_finds_ticks_what_was_found_and_saves_nothing(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        rows = []
        for title in ("Delivery", "Returns", "Payment"):
            rows.append(await articles.create(tx, shop.owner.id, Kind.ARTICLE, "en"))
            await articles.write(tx, rows[-1], "en", title, "x", by=shop.owner.id)
    page = await open_as(shop.email, f"help/{rows[0].id}")
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url))
    await page.get_by_text("Place and address").click()
    field = page.locator("[name=find-related]")
    await field.press("Enter")
    await field.press_sequentially("paym")
    await expect(page.locator("#choose-related input")).to_have_count(1, timeout=SOON)
    await field.press("Enter")
    await expect(page.get_by_role("checkbox", name="Payment")).to_be_checked()
    assert not [url for url in sent if url.endswith("/arrange")]


async def test_a_page_below_a_language_of_a_shopify_shop_stays_below_it(browser: Browser) -> None:
    script = (Path(site.__file__).parent / "static" / "themed.js").read_text()
    head = {"title": "T", "description": "D", "canonical": "https://shop.example/apps/support/help/en",
            "alternates": [["ar", "x"], ["en", "y"]]}  # fmt: skip

    async def answer(route: Route) -> None:
        said = "ar" if route.request.url.partition("?")[0].endswith("/help/ar") else "en"
        await route.fulfill(
            content_type="text/html",
            body=f"""<main data-help data-base="/apps/support/help" data-language="{said}">
            <form class="hc-search" action="/apps/support/help/{said}/search"><input id="hc-q"></form>
            <a href="/apps/support/help/{said}/returns">a</a><a href="/cart">b</a><a href="https://x.example/">c</a>
            </main><script type="application/json" id="hc-head">{json.dumps(head)}</script><script>{script}</script>""",
        )

    context = await browser.new_context()
    page = await context.new_page()
    await context.route("https://shop.example/**", answer)

    async def led(path: str) -> tuple[str, list[str]]:
        await page.goto(f"https://shop.example{path}")
        await page.wait_for_function("document.title === 'T' && document.querySelector('form.hc-search')")
        links = "[...document.querySelectorAll('main a')].map((one) => one.getAttribute('href'))"
        action = "document.querySelector('form.hc-search').getAttribute('action')"
        return page.url.removeprefix("https://shop.example"), await page.evaluate(f"[...{links}, {action}]")

    def below(before: str, language: str) -> list[str]:
        base = f"{before}/apps/support/help/{language}"
        return [f"{base}/returns", "/cart", "https://x.example/", f"{base}/search"]

    here = "/apps/support/help"
    assert await led(f"{here}/en") == (f"{here}/en", below("", "en"))
    assert await led(f"/ar{here}/en") == (f"/ar{here}/en", below("/ar", "en")), "who chose English reads it"
    assert await led(f"/pt-BR{here}") == (f"/pt-BR{here}", below("/pt-BR", "en")), "a language that is not ours"
    assert await led(f"/other{here}/en") == (f"/other{here}/en", below("", "en")), "that is no language"
    await page.goto(f"https://shop.example/ar{here}?q=oil")
    await page.wait_for_url(f"https://shop.example/ar{here}/ar?q=oil")
    assert await led(f"/ar{here}/ar?q=oil") == (f"/ar{here}/ar?q=oil", below("/ar", "ar"))
    assert await page.locator("#hc-q").input_value() == "oil"
    await context.close()


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


async def test_on_a_phone_the_place_of_the_help_centre_where_one_is_stands_in_view(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "help/reports", size="phone")
    tab = page.locator(".tabs [aria-current]")
    await expect(tab).to_be_in_viewport(ratio=0.9, timeout=SOON)


async def test_what_was_looked_for_is_read_whole_on_a_phone(panel: Panel, shop: Shop, open_as: Open) -> None:
    said = "how do I wash the linen tablecloth so that it does not shrink in the first wash"
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        await reading.searched(tx, said, "en", 0)
        article = await articles.create(tx, shop.owner.id, Kind.ARTICLE, "en")
        await articles.write(tx, article, "en", "Delivery", "Five days.", by=shop.owner.id)
        await articles.publish(tx, article, "en", by=shop.owner)
        await reading.vote(tx, article.id, "en", helped=False)
        await reading.explain(tx, article.id, "en", reading.Reason.MISSING, said)
    page = await open_as(shop.email, "help/reports", size="phone")
    row = page.get_by_role("region", name="Searched and not found").locator("tbody tr")
    words, draft = row.locator("th"), row.get_by_role("button", name="Write a draft")
    await expect(draft).to_be_in_viewport(ratio=1, timeout=SOON)
    seen, whole = await words.bounding_box(), await row.bounding_box()
    assert seen is not None
    assert whole is not None
    assert seen["width"] > whole["width"] * 0.9, "not one word a line"
    assert await page.locator(".scrolls").evaluate_all(
        "all => all.length > 1 && all.every((one) => one.scrollWidth <= one.clientWidth)"
    )
