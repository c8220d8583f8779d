"""The authorization code grant through a browser, over HTTP."""

import time
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from integrations.shopify import identity, install
from integrations.shopify.simulator import oauth
from plugin import stores
from plugin.kernel.config import Demo
from tests.integrations.shopify.conftest import CLIENT, PUBLIC_URL, SECRET, World


def _launch(world: World, secret: str = SECRET, **changes: str) -> str:
    parameters = {"shop": world.domain, "timestamp": str(int(time.time())), "host": world.sim.shop.host_parameter}
    parameters |= changes
    message = identity.oauth_message(list(parameters.items()))
    return urlencode({**parameters, "hmac": identity.sign_hex(message, secret)})


async def _begin(world: World, browser: httpx.AsyncClient) -> dict[str, str]:
    answer = await browser.get(f"/shopify/install?{_launch(world)}")
    assert answer.status_code == 302
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def _agree(world: World, browser: httpx.AsyncClient) -> str:
    """The merchant agrees at Shopify; returns the callback's query."""
    asked = await _begin(world, browser)
    assert oauth.check_authorize(world.sim.shop, asked) is None
    return urlsplit(oauth.grant_code(world.sim.shop, asked)).query


# --- the grant ------------------------------------------------------------------------------------------------------


async def test_the_grant_ends_in_a_connected_store_and_in_shopifys_admin(
    world: World, browser: httpx.AsyncClient
) -> None:
    answer = await browser.get(f"/shopify/install?{_launch(world)}")
    there = urlsplit(answer.headers["location"])
    assert (there.scheme, there.netloc, there.path) == ("https", world.domain, "/admin/oauth/authorize")
    asked = parse_qs(there.query)
    assert asked["client_id"] == [CLIENT]
    assert asked["redirect_uri"] == [f"{PUBLIC_URL}/shopify/callback"]
    assert set(asked["scope"][0].split(",")) == set(install.REQUIRED_SCOPES)
    assert "grant_options[]" not in asked
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/shopify/callback", "Max-Age=600"):
        assert part in cookie
    query = urlsplit(oauth.grant_code(world.sim.shop, {k: v[0] for k, v in asked.items()})).query
    back = await browser.get(f"/shopify/callback?{query}")
    assert back.status_code == 302, back.text
    handle = world.domain.partition(".")[0]
    assert back.headers["location"] == f"https://admin.shopify.com/store/{handle}/apps/{CLIENT}"
    assert back.headers["cache-control"] == "no-store"
    ((workspace, store_id),) = await world.workspaces_of_shop()
    assert store_id is not None
    async with world.app.db.transaction(workspace) as tx:
        store = await stores.get(tx, store_id)
        held = await stores.credential(tx, world.app.vault, store_id, "refresh")
    assert store is not None
    assert store.status == stores.CONNECTED
    assert held is not None, "an expiring token was asked for"


async def test_the_first_visit_to_the_panel_finds_the_granted_store(world: World, browser: httpx.AsyncClient) -> None:
    await browser.get(f"/shopify/callback?{await _agree(world, browser)}")
    session = await world.platform.admin_session(world.token())
    assert [(session.workspace_id, session.store_id)] == await world.workspaces_of_shop()
    assert session.administrator, "the account owner"


async def test_in_the_demo_the_way_back_is_the_stand_in_admin(world: World, browser: httpx.AsyncClient) -> None:
    admin = "http://admin-shopify-demo.localhost:8001"
    object.__setattr__(world.settings, "demo", Demo(app_bridge_url=f"{admin}/app-bridge.js"))
    back = await browser.get(f"/shopify/callback?{await _agree(world, browser)}")
    assert back.headers["location"].startswith(f"{admin}/store/")


async def test_a_callback_works_once_per_browser(world: World, browser: httpx.AsyncClient) -> None:
    query = await _agree(world, browser)
    kept = dict(browser.cookies)
    assert (await browser.get(f"/shopify/callback?{query}")).status_code == 302
    assert not browser.cookies
    replayed = await browser.get(f"/shopify/callback?{query}")
    assert replayed.status_code == 400
    # Somebody kept the cookie as well: then the code is used up.
    browser.cookies.update(kept)
    assert (await browser.get(f"/shopify/callback?{query}")).status_code == 502
    assert len(await world.workspaces_of_shop()) == 1


async def test_the_cookie_is_gone_after_a_failed_look_too(world: World, browser: httpx.AsyncClient) -> None:
    await _begin(world, browser)
    assert browser.cookies
    answer = await browser.get("/shopify/callback?state=guess")
    assert answer.status_code == 400
    assert not browser.cookies
    assert answer.json()["error"]["code"] == "shopify_unproven"


@pytest.mark.parametrize(
    "spoil", ["no cookie", "another state", "stale", "forged", "another shop", "no code", "bad host"]
)
async def test_a_callback_that_connects_nothing(world: World, browser: httpx.AsyncClient, spoil: str) -> None:
    told = dict(parse_qsl(await _agree(world, browser)))
    told.pop("hmac")
    if spoil == "no cookie":
        browser.cookies.clear()
    if spoil == "another state":
        told["state"] = "x"
    if spoil == "stale":
        told["timestamp"] = str(int(time.time()) - 120)
    if spoil == "another shop":
        told["shop"] = "evil.myshopify.com"
    if spoil == "no code":
        told.pop("code")
    if spoil == "bad host":
        told["host"] = "ZXZpbC5jb20"
    message = identity.oauth_message(list(told.items()))
    told["hmac"] = identity.sign_hex(message, "wrong" if spoil == "forged" else SECRET)
    before = world.wire.count("access_token")
    answer = await browser.get(f"/shopify/callback?{urlencode(told)}")
    assert answer.status_code == 400
    assert world.wire.count("access_token") == before
    assert await world.workspaces_of_shop() == []


async def test_a_state_of_another_browser_is_refused(world: World, browser: httpx.AsyncClient) -> None:
    """Login CSRF: a stranger's callback link opened in the merchant's browser."""
    theirs = await _agree(world, browser)
    browser.cookies.clear()
    await _begin(world, browser)
    assert (await browser.get(f"/shopify/callback?{theirs}")).status_code == 400


async def test_an_unsigned_shop_begins_nothing(world: World, browser: httpx.AsyncClient) -> None:
    stale = str(int(time.time()) - 120)
    for query in ("", f"shop={world.domain}", _launch(world, "wrong"), _launch(world, timestamp=stale),
                  _launch(world, shop="evil.com"), _launch(world) + "&shop=evil.myshopify.com"):  # fmt: skip
        answer = await browser.get(f"/shopify/install?{query}")
        assert answer.status_code == 400, query
        assert "set-cookie" not in answer.headers


async def test_errors_speak_the_readers_language(world: World, browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/shopify/install", headers={"Accept-Language": "ar"})
    assert "Shopify" in answer.json()["error"]["message"]
    assert answer.json()["error"]["message"] != "Shopify did not confirm this request, so nothing was connected."


async def test_missing_scopes_are_said_and_the_store_still_connects(world: World, browser: httpx.AsyncClient) -> None:
    query = await _agree(world, browser)
    shop = world.sim.shop
    shop.state.set("granted", [scope for scope in shop.granted if scope != "read_products"])
    assert (await browser.get(f"/shopify/callback?{query}")).status_code == 302
    session = world.session = await world.platform.admin_session(world.token())
    assert session.store_id
    found = await world.platform.check(await world.connection())
    assert [finding.detail for finding in found if finding.code == "scope_missing"] == ["read_products"]
