"""The app proxy and its traps, one test for each (docs/platforms.md A3), from the storefront through to our answer.

A3.1 the merchant renames the path; A3.2 a guest's blank id; A3.3 repeated parameters are signed joined by commas;
A3.4 the order is that of code points; A3.5 a second reserved parameter is signed too; A3.6 old requests; A3.7 a rotated
secret; A3.8 cookies do not cross; A3.9 signed is not wanted; A3.10 the body is not signed; A3.11 a blank id means
unknown; A3.12 Liquid; A3.13 caches; A3.14 an uninstalled shop; A3.15 a token instead of a socket; A3.16 a signature
that is no text; A3.17 a storefront behind a password; A3.18 other sites.
"""

import time
from datetime import UTC, datetime
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from integrations.shopify import identity
from integrations.shopify.platform import SHOPPER_SECONDS
from integrations.shopify.simulator import proxy
from plugin import stores
from plugin.analytics import hints
from plugin.analytics.hints import Hint
from plugin.kernel.db import Tx
from tests.integrations.shopify.conftest import SECRET, World

RESERVED = ("shop", "logged_in_customer_id", "path_prefix", "timestamp", "signature")


def signed(world: World, customer: int | None, query: str = "") -> str:
    """What Shopify asks us when a storefront page asks for `/apps/support/identity`."""
    return f"/proxy/identity?{proxy.signed_query(world.sim.shop, query, customer)}"


def by_hand(pairs: list[tuple[str, str]], secret: str = SECRET) -> str:
    """The same for parameters that Shopify would never send, with a good signature all the same."""
    return urlencode([*pairs, ("signature", identity.sign_hex(identity.proxy_message(pairs), secret))])


def plain(world: World, **changes: str) -> list[tuple[str, str]]:
    told = {"shop": world.domain, "logged_in_customer_id": "7", "path_prefix": "/apps/support",
            "timestamp": str(int(time.time()))}  # fmt: skip
    return list((told | changes).items())


async def through(
    world: World, browser: httpx.AsyncClient, method: str = "GET", rest: str = "identity", *, query: str = "",
    headers: dict[str, str] | None = None, body: bytes = b"", customer: int | None = None,
) -> tuple[Response, list[httpx.Request]]:  # fmt: skip
    """A request of a storefront page, carried by the shop's proxy as Shopify does it; and what reached us."""
    arrived: list[httpx.Request] = []

    class Wire(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            arrived.append(request)
            return await browser._transport.handle_async_request(request)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": "http", "method": method, "path": f"/apps/support/{rest}", "query_string": query.encode(),
        "headers": [(b"host", b"bustan.example.com"), *raw], "scheme": "https", "server": ("bustan", 443),
    }  # fmt: skip
    answer = await proxy.forward(world.sim.shop, Request(scope, receive), rest, customer, Wire())
    return answer, arrived


async def test_a_signed_in_shopper_is_vouched_for(world: World, browser: httpx.AsyncClient) -> None:
    connection = await world.connect()
    answer = await browser.get(signed(world, 7, "x=1&x=2&blank="))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found = await world.platform.shopper_identity(connection, answer.json()["token"])
    assert found is not None
    assert found.customer_external_id == "gid://shopify/Customer/7"


async def test_a3_1_the_path_is_read_and_never_assumed(world: World, browser: httpx.AsyncClient) -> None:
    """Merchants rename it; the new one is learnt from the signed request and the theme is told by a job."""
    await world.connect()
    world.sim.shop.state.set("proxy_prefix", "/community/chat")
    assert (await browser.get(signed(world, None))).status_code == 204
    assert (await world.store()).widget["proxy_path"] == "/community/chat"
    assert world.session is not None
    async with world.app.db.transaction(world.session.workspace_id) as tx:
        jobs = await tx.scalars(text("SELECT task FROM jobs WHERE unique_key LIKE 'check-now:%' AND done_at IS NULL"))
        assert list(jobs) == ["check_store"], "the theme is told by a job, not while the shopper waits"


async def test_a3_2_a_guests_blank_id_is_part_of_what_is_signed(world: World, browser: httpx.AsyncClient) -> None:
    await world.connect()
    query = by_hand(plain(world, logged_in_customer_id=""))
    assert "logged_in_customer_id=&" in query
    assert (await browser.get(f"/proxy/identity?{query}")).status_code == 204
    dropped = query.replace("logged_in_customer_id=&", "")
    assert (await browser.get(f"/proxy/identity?{dropped}")).status_code == 401


@pytest.mark.parametrize(
    "own", ["x=1&x=2", "x=2&y=&x=1", "x=a%2Cb&x=c", "x=%D8%B4%D9%83&x=", "ids[]=1&ids[]=2", "x=+%2B"]
)
async def test_a3_3_repeated_parameters_are_joined_by_commas(
    world: World, browser: httpx.AsyncClient, own: str
) -> None:
    await world.connect()
    assert (await browser.get(signed(world, 7, own))).status_code == 200


async def test_a3_3_their_own_order_is_signed_as_well(world: World, browser: httpx.AsyncClient) -> None:
    await world.connect()
    good = signed(world, 7, "x=1&x=2")
    assert (await browser.get(good)).status_code == 200
    assert (await browser.get(good.replace("x=1&x=2", "x=2&x=1"))).status_code == 401


@hypothesis(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["consentGiven", "consented", "_", "A", "a", "a_b", "aB", "Z", "é", "שם", "~"]), max_size=8
    )
)
async def test_a3_4_the_order_is_that_of_code_points(
    world: World, browser: httpx.AsyncClient, names: list[str]
) -> None:
    """By the reader's alphabet `consented` would stand before `consentGiven`, and `_` nobody knows where."""
    pairs = [*((name, "1") for name in names), *plain(world)]
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    message = "".join(
        f"{name}={','.join(grouped[name])}" for name in sorted(grouped, key=lambda n: [ord(c) for c in n])
    )
    query = urlencode([*pairs, ("signature", identity.sign_hex(message, SECRET))])
    assert identity.proxy(query.encode(), [SECRET], time.time()).customer_external_id == "gid://shopify/Customer/7"


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("value", ["8", "", "evil.myshopify.com"])
async def test_a3_5_a_shopper_cannot_name_another(
    world: World, browser: httpx.AsyncClient, name: str, value: str
) -> None:
    """Shopify signs what the shopper wrote along with its own: a second one has a good signature."""
    await world.connect()
    own = f"{quote(name)}={quote(value)}"
    assert (await browser.get(signed(world, 7, own))).status_code == 401
    pairs = plain(world)
    twice = by_hand([(name, value), *pairs]) if name != "signature" else f"{own}&{by_hand(pairs)}"
    assert (await browser.get(f"/proxy/identity?{twice}")).status_code == 401


@pytest.mark.parametrize(("away", "status"), [(-91, 401), (-80, 200), (80, 200), (91 + 5, 401), (-86_400, 401)])
async def test_a3_6_an_old_request_is_refused(world: World, browser: httpx.AsyncClient, away: int, status: int) -> None:
    await world.connect()
    world.sim.shop.state.set("clock_offset", away)
    assert (await browser.get(signed(world, 7))).status_code == status


@pytest.mark.parametrize("timestamp", ["", "abc", "-1", "1e9", "٣", "9" * 30, "17 "])
async def test_a3_6_a_time_that_is_none_is_refused(world: World, browser: httpx.AsyncClient, timestamp: str) -> None:
    await world.connect()
    assert (await browser.get(f"/proxy/identity?{by_hand(plain(world, timestamp=timestamp))}")).status_code == 401


async def test_a3_7_a_rotated_secret_still_opens(world: World, browser: httpx.AsyncClient) -> None:
    await world.connect()
    previous = world.settings.shopify.secrets[1]
    assert (await browser.get(f"/proxy/identity?{by_hand(plain(world), previous)}")).status_code == 200
    assert (await browser.get(f"/proxy/identity?{by_hand(plain(world), 'a stranger')}")).status_code == 401


async def test_a3_8_no_cookie_crosses_and_none_is_needed(world: World, browser: httpx.AsyncClient) -> None:
    await world.connect()
    answer, (arrived,) = await through(world, browser, headers={"cookie": "ahlan=x; session=y"}, customer=7)
    assert "cookie" not in arrived.headers
    assert answer.status_code == 200
    for direct in (await browser.get(signed(world, 7), headers={"cookie": "ahlan=forged"}), answer):
        assert "set-cookie" not in direct.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a3_9_signed_is_not_wanted(world: World, browser: httpx.AsyncClient, method: str) -> None:
    """Any page can make a shopper's browser send it: reading is all there is, and reading changes nothing."""
    await world.connect()
    before = await world.store()
    answer, arrived = await through(world, browser, method, customer=7, body=b"{}")
    assert len(arrived) == 1
    assert answer.status_code == 404
    assert (await world.store()).widget == before.widget
    read = await browser.get(signed(world, 7))
    assert "access-control-allow-origin" not in read.headers, "no other site may read who is signed in"


async def test_a3_10_the_body_is_not_signed_and_not_read(world: World, browser: httpx.AsyncClient) -> None:
    connection = await world.connect()
    body = b'{"logged_in_customer_id": 8, "shop": "evil.myshopify.com"}'
    answer, _ = await through(world, browser, headers={"content-type": "application/json"}, body=body, customer=7)
    token = httpx.Response(200, content=bytes(answer.body)).json()["token"]
    found = await world.platform.shopper_identity(connection, token)
    assert found is not None
    assert found.customer_external_id == "gid://shopify/Customer/7"


async def test_a3_11_a_blank_id_means_unknown_and_is_no_error(world: World, browser: httpx.AsyncClient) -> None:
    """It is not dependable with the new customer accounts."""
    await world.connect()
    answer = await browser.get(signed(world, None))
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("accept", ["application/liquid", "text/html", "*/*", "text/html,application/liquid;q=0.9", ""])
@pytest.mark.parametrize("rest", ["identity", "{{ shop.email }}", "%7B%25 render 'x' %25%7D", "../panel", "<script>"])
@pytest.mark.parametrize("known", [True, False])
async def test_a3_12_no_answer_is_liquid_or_a_page_or_repeats_a_word(
    world: World, browser: httpx.AsyncClient, accept: str, rest: str, known: bool
) -> None:
    """Shopify runs what is `application/liquid` inside the shop's page; a page of ours would pass for the shop's."""
    if known:
        await world.connect()
    told = proxy.signed_query(world.sim.shop, "q={{ shop.email }}&locale=<script>", None)
    for query in (told, told.replace("signature=", "signature=0")):
        answer = await browser.get(f"/proxy/{quote(rest, safe='')}?{query}", headers={"accept": accept})
        assert answer.status_code in {204, 401, 404}
        assert answer.headers.get("content-type", "application/json") == "application/json"
        assert not [mark for mark in ("{{", "{%", "<script", "shop.email") if mark in answer.text]


async def test_a3_13_no_answer_may_be_kept_on_the_way(world: World, browser: httpx.AsyncClient) -> None:
    """A proxy's answer may lie in a CDN: the next shopper would get this one's token."""
    elsewhere = await browser.get(signed(world, 7))
    await world.connect()
    asked = [signed(world, 7), signed(world, None), "/proxy/identity", f"/proxy/x?{by_hand(plain(world))}"]
    answers = [elsewhere, *[await browser.get(address) for address in asked]]
    assert [answer.status_code for answer in answers] == [404, 200, 204, 401, 404]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_a3_14_an_uninstalled_shop_vouches_for_nobody(world: World, browser: httpx.AsyncClient) -> None:
    assert (await browser.get(signed(world, 7))).status_code == 404
    connection = await world.connect()
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await stores.get(tx, connection.store_id)
        assert store is not None
        await stores.uninstalled(tx, store, datetime.now(UTC))
    assert (await browser.get(signed(world, 7))).status_code == 404


async def test_a3_15_what_it_gives_is_a_token_for_a_quarter_of_an_hour(
    world: World, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket goes through a proxy: the chat itself talks to our own address, with this."""
    connection = await world.connect()
    token = (await browser.get(signed(world, 7))).json()["token"]
    assert SHOPPER_SECONDS == 900
    assert await world.platform.shopper_identity(connection, token) is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SHOPPER_SECONDS + 1)
    assert await world.platform.shopper_identity(connection, token) is None


@pytest.mark.parametrize("signature", ["%ff", "é", "", "0" * 64, "A" * 5000, "%00"])
async def test_a3_16_a_signature_that_is_no_text_is_refused_and_breaks_nothing(
    world: World, browser: httpx.AsyncClient, signature: str
) -> None:
    await world.connect()
    fields = urlencode(plain(world))
    assert (await browser.get(f"/proxy/identity?{fields}&signature={signature}")).status_code == 401
    upper = by_hand(plain(world)).rpartition("=")
    assert (await browser.get(f"/proxy/identity?{upper[0]}={upper[2].upper()}")).status_code == 401


async def test_a3_17_a_storefront_behind_a_password_is_found_and_not_taken_for_renamed(world: World) -> None:
    connection = await world.connect()

    async def locked(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/identity"):
            return None
        return httpx.Response(302, headers={"location": f"https://{world.domain}/password"})

    async def findings() -> dict[str, bool]:
        return {one.code: one.ok for one in await world.platform.check(connection)}

    assert (await findings())["password_page"]
    world.wire.before = locked
    found = await findings()
    assert not found["password_page"]
    assert found["proxy_renamed"], "nothing is known of it: no false alarm"


@pytest.mark.parametrize("signature", [True, False])
async def test_a3_18_only_the_storefronts_own_pages_may_load_it(
    world: World, browser: httpx.AsyncClient, signature: bool
) -> None:
    await world.connect()
    query = signed(world, 7) if signature else "/proxy/identity"
    answer = await browser.get(query, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"})
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


async def test_a_product_page_asks_what_runs_small_by_the_shops_own_proxy(
    world: World, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sure(tx: Tx, store: UUID) -> list[Hint]:
        return [Hint(store, "gid://shopify/Product/17", "too_large", 12, 40, 0.01, 0.0001)]

    monkeypatch.setattr(hints, "of_store", sure)
    connection = await world.connect()

    async def told(query: str) -> httpx.Response:
        return await browser.get(f"/proxy/fit?{proxy.signed_query(world.sim.shop, query, None)}")

    assert (await told("product=17&locale=he")).status_code == 204, "the shop did not switch it on"
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await stores.get(tx, connection.store_id)
        assert store is not None
        store.widget = {**store.widget, hints.SWITCH: True}
    answer = await told("product=17&locale=he")
    assert answer.json() == {"text": world.app.catalogues.translator("he").gettext(hints.WORDS["too_large"])}
    assert answer.headers["cache-control"] == "no-store"
    for query in ("product=18", "product=", "", "product=17x", f"product={'9' * 400}", "product=%D9%A1%D9%A7"):
        assert (await told(query)).status_code == 204, query
    assert (await browser.get("/proxy/fit?product=17")).status_code == 401
