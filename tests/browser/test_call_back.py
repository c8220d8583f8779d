"""A cash order without an e-mail address: asked for by somebody nobody vouches for, done once an agent has called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from sqlalchemy import select

from plugin.conversations.messages import Message
from plugin.crm.orders import Order
from plugin.kernel.embedded import Servers
from plugin.returns.proof import OrderProof
from plugin.returns.records import ReturnRequest
from plugin.stores import Store
from plugin.widget.order_strings import strings
from tests.browser.chrome import DESKTOP, PHONE, Person, needs_browser
from tests.journeys.conftest import WOO, World, running

pytestmark = needs_browser
PATIENCE = 30_000
EMAIL, PASSWORD = "noor@zaytouna.example", "a calm long evening"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A young WooCommerce store, connected by its owner, that sends no mail."""
    async with running(servers, tmp_path_factory.mktemp("calls"), "calling", seeded=False) as made:
        await made.control(WOO, "seed", {"customers": 2, "orders": 0})
        owner = made.browser()
        page = await owner.get(f"{made.url}/sign-up")
        fields = {"name": "Noor", "workspace": "Zaytouna", "email": EMAIL, "password": PASSWORD}
        await owner.submit(page, "password", fields)
        await owner.post(f"{WOO}/wp-login.php", {})
        asked = await owner.post(f"{WOO}/wp-admin/admin-post.php", {"action": "connect"})
        done = await owner.click(await owner.submit(asked, "site", {}), "approve")
        assert done.status_code == 200, done.text
        yield made


async def cash_order(world: World, store: Store) -> Order:
    """Paid at the door, delivered, and with a phone number alone."""
    key = await world.control(WOO, "keys", {"permissions": "read_write"})
    auth = (key["consumer_key"], key["consumer_secret"])
    asked = {"email": "gone@example.com", "language": "ar", "payment_method": "cod"}
    placed = await world.control(WOO, "order", asked)
    async with world.client(base_url=f"{WOO}/wp-json/wc/v3/", auth=auth) as site:
        for change in ({"billing": {"email": "", "phone": "+962791234567"}}, {"status": "completed"}):
            assert (await site.put(f"orders/{placed['id']}", json=change)).status_code == 200

    async def known() -> Any:
        async with world.app.db.transaction(store.workspace_id) as tx:
            return await tx.scalar(
                select(Order).where(Order.store_id == store.id, Order.external_id == str(placed["id"]),
                                    Order.email == "", Order.fulfilment_status == "fulfilled")
            )  # fmt: skip

    found: Order = await world.until(known, what="the order as it was sent")
    return found


async def news_of(world: World, request: ReturnRequest) -> bool:
    """Whether the conversation was told of the return."""
    said = await world.all(request.workspace_id, Message, Message.conversation_id == request.conversation_id)
    return any(request.number in one.text for one in said)


async def test_nothing_is_shown_or_done_before_an_agent_has_called(world: World, browser: Browser) -> None:
    store = await world.store(WOO)
    assert store is not None
    order = await cash_order(world, store)
    t = world.app.catalogues.translator("ar")
    words = strings(t.gettext, t.ngettext)

    shopper = Person(await browser.new_context(**PHONE, locale="ar"))
    window = await shopper.open(f"{world.url}/widget/page?store={store.public_key}&locale=ar")
    send = window.get_by_role("button", name=words["o.call_send"])
    await window.locator("form input").first.fill(order.name, timeout=PATIENCE)
    await window.locator("input[type=tel]").fill("0791234567")
    await window.locator("textarea").fill("القميص صغير، أريد إرجاعه")
    await send.click()
    await expect(window.get_by_text(words["o.call_sent"])).to_be_visible(timeout=PATIENCE)
    assert await world.all(store.workspace_id, ReturnRequest) == []
    assert [(one.order_id, one.proved_at) for one in await world.all(store.workspace_id, OrderProof)] == [(None, None)]

    agent = Person(await browser.new_context(**DESKTOP))
    page = await agent.open(f"{world.url}/sign-in")
    await page.locator("input[name=email]").fill(EMAIL)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("main form button").last.click()
    await page.wait_for_url("**/panel")
    await page.goto(f"{world.url}/panel/inbox")
    await page.locator("[data-row]", has_text="Not verified").click(timeout=PATIENCE)
    await expect(page.locator(".message .text", has_text="+962791234567")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator("#begin-return summary")).to_have_count(0)

    # They called the number on the order: it is theirs, and open to that phone.
    await expect(page.locator("a.call-number")).to_have_attribute("href", "tel:+962791234567", timeout=PATIENCE)
    own = await shopper.open(f"{world.url}/widget/page?store={store.public_key}&locale=ar")
    await expect(own.get_by_text(words["o.call_sent"])).to_be_visible(timeout=PATIENCE)
    await expect(own.get_by_text(order.name)).to_have_count(0)
    await page.locator(".call button.primary").click()
    await expect(page.locator(".call.is-open")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator(".message .text", has_text="24")).to_be_visible(timeout=PATIENCE)
    await own.get_by_role("button", name=words["o.mine"]).click()
    await expect(own.get_by_text(order.name).first).to_be_visible(timeout=PATIENCE)
    await page.locator("#thread-head details summary, #thread-head [aria-haspopup]").last.click()
    await page.locator("#tie-open").click()
    await page.locator("#tie-number").fill(order.name, timeout=PATIENCE)
    await page.locator("#tie-number").press("Enter")
    await page.locator(".tie-list form button").first.click(timeout=PATIENCE)
    await expect(page.locator("#customer .ties a")).to_be_visible(timeout=PATIENCE)
    await page.keyboard.press("Escape")
    await page.locator("#begin-return summary").click(timeout=PATIENCE)
    await page.locator("#begin-return a").first.click()
    await page.locator("input[name^='line:']").first.fill("1", timeout=PATIENCE)
    await page.locator("select[name^='reason:']").first.select_option("too_small")
    await page.locator("main form button").first.click()
    await page.locator("main form button.primary").last.click(timeout=PATIENCE)
    await page.wait_for_url("**/panel/returns/*", timeout=PATIENCE)

    [request] = await world.all(store.workspace_id, ReturnRequest)
    assert (request.order_id, request.conversation_id is not None) == (order.id, True)
    await world.until(lambda: news_of(world, request), 120, what="the news of the return, with its page to print")
    await window.get_by_role("button", name=words["o.to_chat"]).click()
    await expect(window.get_by_text(request.number).first).to_be_visible(timeout=PATIENCE)
    # The link of the message about it leads the same phone to the return itself.
    led = await shopper.open(f"{world.url}/widget/page?store={store.public_key}&locale=ar&return={request.public_id}")
    await expect(led.get_by_text(request.number).first).to_be_visible(timeout=PATIENCE)
    await expect(led.locator("input[type=tel]")).to_have_count(0)

    assert [said for said in shopper.errors if "/favicon.ico" not in said and "/picture/" not in said] == []

    # Taken back, the order is closed again there.
    await page.goto(f"{world.url}/panel/inbox/{request.conversation_id}")
    await page.locator(".call.is-open button").click(timeout=PATIENCE)
    await expect(page.locator(".call button.primary")).to_be_visible(timeout=PATIENCE)
    await own.reload()
    await expect(own.get_by_role("heading").first).to_be_visible(timeout=PATIENCE)
    await expect(own.get_by_text(order.name)).to_have_count(0)
    for person in (shopper, agent):
        await person.context.close()
