"""First order and first chat in a shop that the real plugin connected, walked in Chromium in the three languages."""

import secrets

import pytest
from playwright.async_api import expect
from sqlalchemy import select

from plugin.conversations.conversations import Conversation
from plugin.crm.orders import Order
from tests.browser.chrome import is_sent
from tests.wordpress.conftest import Meet, Shop, until
from tests.wordpress.test_admin import PANEL
from tests.wordpress.test_carts import Classic, deliver, set_pages
from tests.wordpress.test_storefront import LOCALES, look_of
from tests.wordpress.wordpress import ADMIN

WORDS = {
    "en": ("Where is my order?", "It leaves today."),
    "ar": ("أين طلبي؟", "يُشحن اليوم."),
    "he": ("איפה ההזמנה שלי?", "היא יוצאת היום."),
}


@pytest.mark.parametrize(("locale", "theme"), [("en", "classic"), ("ar", "twentytwentyfour"), ("he", "classic")])
async def test_a_shopper_orders_asks_and_is_answered(shop: Shop, meet: Meet, locale: str, theme: str) -> None:
    asked, answered = (f"{words} {secrets.token_hex(2)}" for words in WORDS[locale])
    await set_pages(shop.site, Classic)
    async with look_of(shop.site, theme=theme, language=LOCALES[locale]):
        shopper = await meet(locale, phone=True)
        page = await shopper.sign_in(shop.site, "layla")
        await page.goto(f"{shop.site.url}/product/zaatar/")
        await page.locator("form.cart button").click()
        await page.goto(f"{shop.site.url}/checkout/")
        await page.locator("input[name=billing_first_name]").fill("Layla")
        placed = await page.evaluate(
            """async () => {
              const body = new URLSearchParams(new FormData(document.querySelector("form.checkout")));
              return (await fetch("/?wc-ajax=checkout", { method: "POST", body })).json();
            }"""
        )
        assert placed["result"] == "success"
        await page.goto(placed["redirect"])
        await expect(page.locator(".woocommerce-thankyou-order-received")).to_have_text(str(placed["order_id"]))
        await deliver(shop.site)

        async def known() -> list[Order]:
            return await shop.ahlan.all(
                shop.store.workspace_id, Order, Order.external_id == str(placed["order_id"])
            )  # fmt: skip

        await until(known, "the order")
        await page.locator("ahlan-widget button.l").click()
        await expect(page.locator("ahlan-widget .r iframe")).to_be_visible()
        chat = next(frame for frame in page.frames if "/widget/frame" in frame.url)
        await chat.locator(".door").first.click()
        await chat.locator("textarea").fill(asked)
        await chat.locator("textarea").press("Enter")
        await expect(chat.locator(".message .text", has_text=asked)).to_be_visible()

        async def conversation() -> str:
            async with shop.ahlan.app.db.transaction(shop.store.workspace_id) as tx:
                found = await tx.scalar(
                    select(Conversation.id).where(
                        Conversation.workspace_id == shop.store.workspace_id, Conversation.preview.contains(asked)
                    )
                )
            return str(found or "")

        number = await until(conversation, "the conversation")
        agent = await meet(locale)
        admin = await agent.sign_in(shop.site, ADMIN)
        await admin.goto(f"{shop.site.url}{PANEL}&to=inbox/{number}")
        panel = admin.frame_locator("#wc-ahlan-panel iframe")
        await expect(panel.locator("#thread .message .text", has_text=asked)).to_be_visible()
        order = panel.locator(".order-name", has_text=str(placed["order_id"]))
        await expect(order.first).to_be_attached()
        await panel.locator("#words").fill(answered)
        await panel.locator("#words").press("Control+Enter")
        await is_sent(panel.locator, answered)
        await expect(chat.locator(".message .text", has_text=answered)).to_be_visible()
