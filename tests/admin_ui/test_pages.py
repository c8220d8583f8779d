"""Every page opens, on what is there and on nothing."""

from __future__ import annotations

from admin_ui.desk import GuardedRoute
from plugin.app import App
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_door import panel_routes

# htmx's request for the page's own part, as its links and forms make it: https://four.htmx.org/reference
PART = {"hx-request": "true", "hx-target": "main#page", "hx-request-type": "partial"}


def pages(app: App) -> list[str]:
    """The address of every page of the panel that has one by itself."""
    found = [
        route.path
        for route in panel_routes(app)
        if isinstance(route, GuardedRoute) and "GET" in (route.methods or ()) and "{" not in route.path
    ]
    return [path for path in found if path.startswith("/panel") and not path.endswith("/live")]


async def test_every_page_opens_whole_and_in_part_in_a_full_shop_and_in_an_empty_one(
    app: App, shop: Shop, empty_shop: Shop, sign_in: SignIn
) -> None:
    opened = 0
    for one in (shop, empty_shop):
        browser: Browser = await sign_in(one.email)
        for path in pages(app):
            whole = await browser.get(path)
            assert whole.status_code < 500, (path, whole.text[:800])
            if whole.status_code != 200 or "<html" not in whole.text:
                continue
            part = await browser.get(path, headers=PART)
            assert part.status_code == 200, (path, part.text[:800])
            assert "<html" not in part.text, path
            opened += 1
    assert opened > 60


async def test_an_inbox_without_a_store_leads_to_the_stores(shop: Shop, empty_shop: Shop, sign_in: SignIn) -> None:
    empty = (await (await sign_in(empty_shop.email)).get("/panel/inbox")).text
    assert '<a class="button primary" href="/panel/stores">Connect a store</a>' in empty
    assert "Connect a store</a>" not in (await (await sign_in(shop.email)).get("/panel/inbox?view=closed")).text
