"""Signing in with the account at the shop, from the widget's window through Shopify's stand-in and back to us."""

import asyncio
import dataclasses
import re
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import orjson
import pytest

from integrations.shopify import account
from integrations.shopify.account import CALLBACK_PATH, COOKIE, SIGN_IN_PATH, WORD_SECONDS, Accounts
from integrations.shopify.simulator import accounts, trade
from plugin import stores
from plugin.kernel.config import Demo
from plugin.kernel.http import Http
from tests.integrations.shopify.conftest import PUBLIC_URL, World

MARK = "mark-of-this-window"


@pytest.fixture
async def shopper(world: World) -> Any:
    """A connected shop whose accounts speak without TLS, as the demo's do, and a customer of it."""
    plain = dataclasses.replace(world.settings, demo=Demo(simulator_url="http://127.0.0.1:8001"))
    world.platform.accounts = Accounts(world.app.vault, Http(transport=world.wire), plain)
    await world.connect()
    return trade.create_customer(
        world.sim.shop, first_name="Noor", last_name="Haddad", email="noor@example.com", phone=None, locale="ar"
    )


async def leave(world: World, browser: httpx.AsyncClient, **more: str) -> httpx.Response:
    """The widget's window opens our address."""
    asked = {"store": (await world.store()).public_key, "mark": MARK, "locale": "ar", **more}
    return await browser.get(f"{SIGN_IN_PATH}?{urlencode(asked)}")


async def at_shopify(world: World, url: str, customer: int | None) -> str:
    """The shopper at Shopify: signs in as `customer`, or calls it off. Returns where Shopify sends the browser."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.sim)) as http:
        shown = await http.get(url)
        assert shown.status_code == 200, shown.text
        fields = dict(parse_qsl(urlsplit(url).query))
        chosen = {"customer": str(customer)} if customer else {"deny": "1"}
        answer = await http.post(url.partition("?")[0], data=fields | chosen)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


async def come_back(world: World, browser: httpx.AsyncClient, customer: int | None) -> str:
    """Everything up to the callback's address."""
    gone = await leave(world, browser)
    assert gone.status_code == 302, gone.text
    return await at_shopify(world, gone.headers["location"], customer)


def handed(answer: httpx.Response) -> dict[str, str]:
    """What the last page hands to the window that opened it."""
    found = re.search(r"= (\{.*\});", answer.text)
    assert found, answer.text
    told: dict[str, str] = orjson.loads(found[1])
    return told


async def test_the_word_of_who_came_back_is_the_stores_own(
    world: World, browser: httpx.AsyncClient, shopper: Any
) -> None:
    back = await come_back(world, browser, shopper["id"])
    answer = await browser.get(back)
    assert answer.status_code == 200
    told = handed(answer)
    assert told["mark"] == MARK
    known = await world.platform.shopper_identity(await world.connection(), told["word"])
    assert known is not None
    assert known.customer_external_id == shopper["admin_graphql_api_id"]
    assert (answer.headers["cache-control"], answer.headers["content-security-policy"].count("'nonce-")) == (
        "no-store", 1,
    )  # fmt: skip
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert (answer.text.count('lang="ar" dir="rtl"'), told["page"].endswith("locale=ar")) == (1, True)
    payload = world.app.vault.verify("shopper", told["word"])
    assert payload is not None
    assert 0 < payload["exp"] - time.time() <= WORD_SECONDS


async def test_what_is_asked_of_shopify_is_pkce_and_nothing_secret(
    world: World, browser: httpx.AsyncClient, shopper: Any
) -> None:
    gone = await leave(world, browser)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(gone.headers["location"]).query).items()}
    assert asked["client_id"] == world.sim.shop.client_id
    assert asked["redirect_uri"] == PUBLIC_URL + CALLBACK_PATH
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"] == "openid email customer-account-api:full"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    cookie = gone.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", f"Path={CALLBACK_PATH}"):
        assert part in cookie
    await browser.get(await at_shopify(world, gone.headers["location"], shopper["id"]))
    token = next(request for request in world.wire.requests if request.url.path.endswith("/oauth/token"))
    assert b"client_secret" not in token.content
    assert "authorization" not in token.headers
    assert token.headers["origin"] == PUBLIC_URL
    api = next(request for request in world.wire.requests if "/customer/api/" in request.url.path)
    assert api.headers["authorization"].startswith("shcat_")


async def test_nothing_of_the_shoppers_tokens_is_kept(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    answer = await browser.get(await come_back(world, browser, shopper["id"]))
    assert "shc" not in answer.text
    assert world.session is not None
    async with world.app.db.transaction(world.session.workspace_id) as tx:
        for kind in ("customer", "account", "customer_access"):
            assert await stores.credential(tx, world.app.vault, world.session.store_id, kind) is None


async def refused(answer: httpx.Response) -> bool:
    assert "word" not in answer.text or "error" in answer.text
    return answer.status_code == 400 and answer.json()["error"]["code"] == "account_unsigned"


async def test_a_callback_is_good_once(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    back = await come_back(world, browser, shopper["id"])
    assert (await browser.get(back)).status_code == 200
    assert await refused(await browser.get(back)), "the cookie is gone"


async def test_a_code_that_was_used_is_refused_also_with_its_cookie(
    world: World, browser: httpx.AsyncClient, shopper: Any
) -> None:
    back = await come_back(world, browser, shopper["id"])
    held = browser.cookies.get(COOKIE)
    assert held is not None
    assert (await browser.get(back)).status_code == 200
    assert await refused(await browser.get(back, headers={"cookie": f"{COOKIE}={held}"}))


async def test_another_browsers_callback_is_refused(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    """Somebody sends their own finished sign-in to a victim: no cookie, or the cookie of another sign-in."""
    theirs = await come_back(world, browser, shopper["id"])
    browser.cookies.clear()
    assert await refused(await browser.get(theirs))
    await leave(world, browser)
    assert await refused(await browser.get(theirs))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda query: {**query, "state": "another"},
        lambda query: {**query, "state": ""},
        lambda query: {**query, "state": "ä" * 43},
        lambda query: {**query, "code": "made-up"},
        lambda query: {**query, "code": ""},
        lambda query: {**query, "iss": "https://evil.example"},
        lambda query: {"state": query["state"], "error": "login_required"},
        lambda query: {},
    ],
)  # fmt: skip
async def test_a_callback_that_was_changed_is_refused(
    world: World, browser: httpx.AsyncClient, shopper: Any, spoil: Any
) -> None:
    back = await come_back(world, browser, shopper["id"])
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    assert await refused(await browser.get(f"{CALLBACK_PATH}?{urlencode(spoil(query))}"))


async def test_a_second_state_behind_the_first_is_refused(
    world: World, browser: httpx.AsyncClient, shopper: Any
) -> None:
    back = await come_back(world, browser, shopper["id"])
    assert await refused(await browser.get(f"{back}&state=another"))


async def test_calling_it_off_says_so(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    assert await refused(await browser.get(await come_back(world, browser, None)))


async def test_a_sign_in_that_took_too_long_is_refused(
    world: World, browser: httpx.AsyncClient, shopper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "COOKIE_SECONDS", -1)
    gone = await leave(world, browser)
    held = re.match(rf"{COOKIE}=([^;]+)", gone.headers["set-cookie"])
    assert held
    back = await at_shopify(world, gone.headers["location"], shopper["id"])
    assert await refused(await browser.get(back, headers={"cookie": f"{COOKIE}={held[1]}"}))


async def test_a_code_that_lay_too_long_is_refused(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    back = await come_back(world, browser, shopper["id"])
    world.sim.shop.state.set("clock_offset", accounts.CODE_LASTS.total_seconds() + 1)
    assert await refused(await browser.get(back))


@pytest.mark.parametrize("fault", sorted(set(accounts.FAULTS)))
async def test_whatever_is_wrong_at_shopify_nobody_is_signed_in(
    world: World, browser: httpx.AsyncClient, shopper: Any, fault: str
) -> None:
    """Wrong issuer, audience, nonce, clock, key, no signature, garbage, an outage, an id that is no customer's."""
    back = await come_back(world, browser, shopper["id"])
    world.sim.shop.state.set("account_fault", fault)
    assert await refused(await browser.get(back))


async def test_without_the_scope_nobody_is_signed_in(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    back = await come_back(world, browser, shopper["id"])
    shop = world.sim.shop
    shop.state.set("granted", [scope for scope in shop.granted if scope != accounts.API_SCOPE])
    assert await refused(await browser.get(back))


async def test_a_mark_that_the_widget_never_makes_is_refused(
    world: World, browser: httpx.AsyncClient, shopper: Any
) -> None:
    for mark in ("", "short", "x" * 65, "</script><script>"):
        assert await refused(await leave(world, browser, mark=mark))


async def test_an_unknown_store_has_no_sign_in(world: World, browser: httpx.AsyncClient, shopper: Any) -> None:
    for key in ("", "st_nobody", world.domain):
        assert (await leave(world, browser, store=key)).status_code == 404


async def test_a_shop_that_uninstalled_us_signs_nobody_in(
    world: World, browser: httpx.AsyncClient, shopper: Any
) -> None:
    back = await come_back(world, browser, shopper["id"])
    store = await world.store()
    async with world.app.db.transaction(store.workspace_id) as tx:
        held = await stores.get(tx, store.id)
        assert held is not None
        held.status = stores.UNINSTALLED
    assert (await browser.get(back)).status_code == 404
    assert (await leave(world, browser)).status_code == 404


async def thinking(request: httpx.Request) -> None:
    await asyncio.sleep(1)


async def test_a_shop_offers_it_where_it_has_the_new_accounts(world: World, shopper: Any) -> None:
    connection = await world.connection()
    assert await world.platform.account_sign_in(connection) == SIGN_IN_PATH
    before = world.wire.count("openid-configuration")
    assert await world.platform.account_sign_in(connection) == SIGN_IN_PATH
    assert world.wire.count("openid-configuration") == before, "kept"


@pytest.mark.parametrize("why", ["legacy", "down", "garbage", "slow", "plain"])
async def test_a_shop_that_has_none_or_says_nothing_offers_none(
    world: World, shopper: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, state = await world.connection(), world.sim.shop.state
    if why == "legacy":
        state.set("accounts", "legacy")
    elif why == "plain":
        world.platform.accounts = Accounts(world.app.vault, Http(transport=world.wire), world.settings)
    elif why == "slow":
        monkeypatch.setattr(account, "_PATIENCE", 0.05)
        world.wire.before = thinking
    else:
        state.set("account_fault", why)
    assert await world.platform.account_sign_in(connection) == ""
    asked = world.wire.count("openid-configuration")
    assert await world.platform.account_sign_in(connection) == ""
    assert world.wire.count("openid-configuration") == asked, "not at every look"


async def test_a_session_token_of_the_account_pages_names_shop_and_customer(world: World, shopper: Any) -> None:
    shop, connection = world.sim.shop, await world.connection()
    who = await world.platform.account_identity(accounts.session_token(shop, shopper["id"]))
    assert who is not None
    assert (who.store_id, who.customer_external_id) == (connection.store_id, shopper["admin_graphql_api_id"])
    guest = await world.platform.account_identity(accounts.session_token(shop, None))
    assert guest is not None
    assert guest.customer_external_id == ""
    for wrong in ({"aud": "another"}, {"dest": "nobody.myshopify.com"}, {"exp": 1}, {"nbf": 9_999_999_999},
                  {"sub": "7"}):  # fmt: skip
        assert await world.platform.account_identity(accounts.session_token(shop, shopper["id"], **wrong)) is None
    for garbage in ("", "a.b.c", "نور"):
        assert await world.platform.account_identity(garbage) is None
