"""Withdrawing from a contract on a phone: what is missing is said at its field, and confirmed twice it is once."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import func, select

from plugin.returns.withdrawals import Withdrawal
from plugin.stores import Store
from tests.actions.conftest import Till
from tests.actions.conftest import shopify_till as shopify_till
from tests.actions.conftest import world as world
from tests.browser.chrome import PHONE, needs_browser
from tests.browser.chrome import browser as browser
from tests.browser.chrome import playwright as playwright
from tests.browser.test_self_service import site as site

pytestmark = needs_browser
PATIENCE = 20_000

WORDS = {
    "en": ("Withdraw from contract here", "Confirm withdrawal", "ltr"),
    "ar": ("العدول عن العقد من هنا", "تأكيد العدول", "rtl"),
}


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_two_screens_and_a_receipt(shopify_till: Till, site: str, browser: Browser, language: str) -> None:
    till = shopify_till
    label, confirm, direction = WORDS[language]
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.connection.store_id)
        assert store is not None
    context = await browser.new_context(**PHONE)
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    await page.goto(f"{site}/widget/page?store={store.public_key}&screen=withdrawal&locale={language}")
    await expect(page.locator("h1")).to_have_text(label, timeout=PATIENCE)
    await expect(page.locator("html")).to_have_attribute("dir", direction)

    onward = page.locator("form button[type=submit]")
    await page.locator("input[name=name]").fill("Mona Berg")
    await onward.click()
    number = page.locator("input[name=order]")
    await expect(number).to_be_focused()
    await expect(number).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(".field", has=number).get_by_role("alert")).not_to_be_empty()
    await number.fill("#1001")
    await page.locator("input[name=email]").fill("mona@example.org")
    await onward.click()

    yes = page.get_by_role("button", name=confirm, exact=True)
    await expect(yes).to_be_visible()
    assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), "nothing hangs over the side"
    assert (await yes.bounding_box() or {"height": 0})["height"] >= 44
    await yes.dblclick()
    await expect(page.locator(".receipt")).to_contain_text("Mona Berg", timeout=PATIENCE)
    async with till.app.db.transaction(till.workspace) as tx:
        held = await tx.scalar(select(func.count()).where(Withdrawal.workspace_id == till.workspace))
    assert held == 1
    assert broken == []
    await context.close()
