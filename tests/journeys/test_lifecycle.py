"""The other ways of the install walk: the code grant, going and coming back, and a store that fails in every way."""

import asyncio
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from integrations.shopify.simulator import Simulator
from plugin import stores
from plugin.crm.orders import Order
from plugin.stores import Credential, Store
from tests.journeys.conftest import WOO, Owner, World, csrf


@pytest.fixture
async def shop(world: World) -> Any:
    """One more Shopify shop, with a short history."""
    made = world.another_shop(f"shop-{secrets.token_hex(4)}.myshopify.com", seeded=True)
    yield made
    await made.shutdown()


async def _launch(world: World, shop: Simulator) -> str:
    url: str = (await world.control(f"https://{shop.shop.domain}", "launch"))["url"]
    return url


async def _store(world: World, shop: Simulator) -> Store:
    store = await world.store(shop.shop.domain)
    assert store is not None
    return store


async def _authorize(world: World, shop: Simulator) -> httpx.Response:
    """Open `/shopify/install` as Shopify launches it, agree, and stop before Shopify's admin."""
    signed = urlsplit(await _launch(world, shop)).query
    async with world.client(base_url=world.url) as browser:
        asked = await browser.get(f"/shopify/install?{_without_token(shop, signed)}")
        assert asked.status_code == 302, asked.text
        consent = urlsplit(asked.headers["location"])
        assert consent.netloc == shop.shop.domain
        page = await browser.get(asked.headers["location"])
        while page.has_redirect_location and urlsplit(page.headers["location"]).path != "/shopify/callback":
            page = await browser.get(page.headers["location"])
        if not page.has_redirect_location:
            fields = {name: values[0] for name, values in parse_qs(consent.query).items()}
            page = await browser.post(f"https://{shop.shop.domain}/admin/oauth/grant", data=fields)
        assert page.has_redirect_location, page.text
        return await browser.get(page.headers["location"])


def _without_token(shop: Simulator, query: str) -> str:
    pairs = [(name, values[0]) for name, values in parse_qs(query).items() if name not in ("hmac", "id_token")]
    signed: str = shop.shop.sign_query(pairs)
    return signed


async def test_the_code_grant_connects_a_store(world: World, shop: Simulator) -> None:
    done = await _authorize(world, shop)
    assert done.status_code == 302, done.text
    assert urlsplit(done.headers["location"]).netloc == "admin.shopify.com"
    store = await _store(world, shop)
    assert store.status == stores.CONNECTED
    await world.history_of(store)


async def test_a_callback_in_another_browser_connects_nothing(world: World, shop: Simulator) -> None:
    signed = shop.shop.sign_query([("code", "x"), ("shop", shop.shop.domain), ("state", "y"), ("timestamp", "1")])
    async with world.client(base_url=world.url) as browser:
        assert (await browser.get(f"/shopify/callback?{signed}")).status_code == 400
    assert await world.store(shop.shop.domain) is None


async def test_a_store_that_goes_is_quiet_and_one_that_returns_is_itself(world: World, shop: Simulator) -> None:
    site = f"https://{shop.shop.domain}"
    await world.control(site, "install", {})
    assert (await world.browser().get(await _launch(world, shop))).status_code == 200
    before = await _store(world, shop)
    await world.history_of(before)
    orders = len(await world.all(before.workspace_id, Order, Order.store_id == before.id))
    assert orders

    await world.control(site, "uninstall", {})

    async def gone() -> bool:
        return (await _store(world, shop)).status == stores.UNINSTALLED

    await world.until(gone, what="the farewell")
    assert await world.all(before.workspace_id, Credential, Credential.store_id == before.id) == []
    async with world.client(base_url=world.url) as http:
        frame = await http.get("/widget/frame", params={"store": before.public_key})
        assert frame.status_code == 404
    assert len(await world.all(before.workspace_id, Order, Order.store_id == before.id)) == orders

    await world.control(site, "install", {})
    assert (await world.browser().get(await _launch(world, shop))).status_code == 200
    after = await _store(world, shop)
    assert (after.id, after.public_key, after.status) == (before.id, before.public_key, stores.CONNECTED)
    assert after.installed_at > before.installed_at
    await world.history_of(after)
    assert len(await world.all(before.workspace_id, Order, Order.store_id == before.id)) == orders


@pytest.mark.parametrize("kind", ["429", "500", "garbage", "throttled"])
async def test_a_shopify_that_fails_for_a_while_is_connected_in_the_end(
    world: World, shop: Simulator, kind: str
) -> None:
    site = f"https://{shop.shop.domain}"
    await world.control(site, "install", {})
    await world.control(site, "faults", {"kind": kind, "times": 2})

    async def opened() -> bool:
        answer = await world.browser().get(await _launch(world, shop))
        assert answer.status_code in (200, 502, 503), answer.text
        assert "Traceback" not in answer.text
        return answer.status_code == 200

    await world.until(opened, 20, "opening the panel")
    await world.control(site, "faults", {"kind": kind, "times": 2})
    await world.history_of(await _store(world, shop))


@pytest.mark.parametrize("mode", ["429", "500", "garbage"])
async def test_a_woocommerce_that_fails_for_a_while_is_read_to_the_end(
    world: World, owner: Owner, woo_store: Store, mode: str
) -> None:
    await world.history_of(woo_store)
    page = await owner.browser.get(f"{world.url}/panel/stores/{woo_store.id}")
    await world.control(WOO, "failure", {"mode": mode, "count": 2, "seconds": 1})
    asked = await owner.browser.post(
        f"{world.url}/panel/stores/{woo_store.id}/history", {"csrf": csrf(page.text), "again": "1"}
    )
    assert asked.status_code < 400, asked.text
    await asyncio.sleep(0.2)
    await world.history_of(woo_store)
    counts = (await world.control(WOO, "state"))["counts"]
    assert len(await world.all(woo_store.workspace_id, Order, Order.store_id == woo_store.id)) == counts["order"]
