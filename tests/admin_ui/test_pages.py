"""Every page opens, on what is there and on nothing."""

from __future__ import annotations

import pytest

from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

PAGES = [
    "",
    "/inbox",
    "/inbox?view=resolved",
    "/inbox?view=mine",
    "/customers",
    "/stores",
    "/team",
    "/settings",
    "/settings/privacy",
]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_opens_in_a_full_shop_and_in_an_empty_one(
    shop: Shop, empty_shop: Shop, sign_in: SignIn, path: str
) -> None:
    for one in (shop, empty_shop):
        browser: Browser = await sign_in(one.email)
        answer = await browser.get(f"/panel{path}")
        assert answer.status_code == 200, answer.text[:800]
        assert "<html" in answer.text


async def test_an_inbox_without_a_store_leads_to_the_stores(shop: Shop, empty_shop: Shop, sign_in: SignIn) -> None:
    empty = (await (await sign_in(empty_shop.email)).get("/panel/inbox")).text
    assert '<a class="button primary" href="/panel/stores">Connect a store</a>' in empty
    assert "Connect a store</a>" not in (await (await sign_in(shop.email)).get("/panel/inbox?view=closed")).text
