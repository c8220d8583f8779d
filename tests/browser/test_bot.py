"""A shopper chats in Arabizi on a phone: an answer with its source to open, then a person; and the agent sees why."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from playwright.async_api import Browser, Frame, Page, expect
from sqlalchemy import select

from plugin.app import App
from plugin.bot import bots
from plugin.bot.turns import BotTurn
from plugin.kernel import jobs
from plugin.knowledge import articles, search
from plugin.knowledge.articles import Kind
from plugin.reactions import TASKS
from plugin.stores import Store
from tests.admin_ui.shop import Panel, Shop
from tests.browser.chrome import OPEN_ROOTS, PHONE, needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_panel import Open
from tests.browser.test_panel import open_as as open_as
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop

pytestmark = needs_browser
SOON = 20_000


@pytest.fixture
async def working(panel: Panel, shop: Shop) -> AsyncIterator[None]:
    """A worker: what is due is done while the test looks at the screen."""

    async def nothing(app: App, workspace_id: UUID, **arguments: object) -> None:
        return None

    async def work() -> None:
        tasks = {**dict.fromkeys(TASKS, nothing), "answer_by_bot": TASKS["answer_by_bot"]}
        while True:
            await jobs.drain(panel.app.db, panel.app, tasks, workspace_id=shop.workspace_id)
            await asyncio.sleep(0.1)

    running = asyncio.create_task(work())
    yield
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def open_widget(browser: Browser, panel: Panel, store: Store) -> tuple[Page, Frame]:
    """An Arabic shopper's phone on a page of this shop, the widget open."""
    context = await browser.new_context(locale="ar", **PHONE)
    await context.add_init_script(OPEN_ROOTS)
    page = await context.new_page()
    tag = f'<script defer src="{panel.url}/widget/loader.js" data-server="{panel.url}" data-store="{store.public_key}"'
    body = f'<!doctype html><html lang="ar" dir="rtl"><body><h1>عود</h1>{tag} data-locale="ar"></script></body></html>'
    await page.route(f"{panel.url}/shop", lambda route: route.fulfill(body=body, content_type="text/html"))
    await page.goto(f"{panel.url}/shop", wait_until="load")
    await page.evaluate("Ahlan.open()")
    await expect(page.locator("ahlan-widget .r iframe")).to_be_visible(timeout=SOON)
    return page, next(frame for frame in page.frames if "/widget/frame" in frame.url)


async def open_chat(browser: Browser, panel: Panel, store: Store) -> tuple[Page, Frame]:
    """The same with the chat open."""
    page, chat = await open_widget(browser, panel, store)
    await chat.locator(".door[data-door=chat], .door[data-door=resume]").first.click(timeout=SOON)
    return page, chat


async def test_an_answer_by_chatting_in_arabizi_and_then_a_person(
    panel: Panel, shop: Shop, browser: Browser, open_as: Open, working: None
) -> None:
    store = shop.stores["oud"]
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        row = await articles.create(tx, shop.owner.id, Kind.ARTICLE, "ar")
        await articles.write(tx, row, "ar", "مدة التوصيل وتكلفته", "تصل الطرود خلال خمسة أيام.", by=shop.owner.id)
        await articles.publish(tx, row, "ar", by=shop.owner)
        await search.index(tx, [row.id])
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        bot.enabled, bot.answers = True, {"delivery_time": str(row.id)}
        # The shop's page stands on this server here.
        here = await tx.get(Store, store.id)
        assert here is not None
        here.origins = [panel.url]
        await bots.save(tx, bot, before, by=shop.owner, languages=panel.app.catalogues.codes)
    page, chat = await open_chat(browser, panel, store)
    words = chat.locator("textarea")
    await words.fill("addeh btakhod wa2t el sha7ne")
    await words.press("Enter")
    said = chat.locator(".message.bot .text")
    await expect(said).to_contain_text("خمسة أيام", timeout=SOON)
    await chat.locator(".card", has_text="مدة التوصيل").click()
    await expect(chat.locator(".help-article")).to_contain_text("خمسة أيام", timeout=SOON)
    await chat.get_by_role("button", name="رجوع").first.click()
    await chat.get_by_role("button", name="التحدث إلى موظف").click(timeout=SOON)
    await expect(said.last).to_contain_text("الزملاء", timeout=SOON)
    await page.context.close()
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.scalar(select(BotTurn.conversation_id).order_by(BotTurn.created_at.desc()).limit(1))
    desk = await open_as(shop.email, f"inbox/{talk}")
    await expect(desk.locator(".bot-line").last).to_contain_text("a person was asked for", timeout=SOON)
    await expect(desk.locator(".is-note").last).to_contain_text("The bot hands over", timeout=SOON)
