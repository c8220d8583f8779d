"""Our extension in the platform's account pages: what it may see and do, by the platform's word for who asks."""

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import select, update
from starlette.applications import Starlette

import plugin.widget.routes as widget_routes
from plugin import stores
from plugin.carrier import Parcel, Place
from plugin.crm.customers import Customer
from plugin.crm.identities import customer_of_platform
from plugin.crm.orders import Order
from plugin.crm.sync import apply
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.kernel.web import Web
from plugin.platform import CustomerRecord, ShopperIdentity
from plugin.returns import self_service, shipping
from plugin.returns.records import ReturnRequest
from plugin.returns.shipping import Wished
from tests.returns.desk import SHIRT, Shop

LAYLA, SAMI = "gid://shopify/Customer/7", "gid://shopify/Customer/8"
BASE = "/widget/account/shopify"
ORDER = "gid://order/1001"

Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def client(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """The extension of somebody: the order is Layla's, and `token` is what the platform says."""

    async def identity(token: str) -> ShopperIdentity | None:
        known, _colon, whose = token.partition("=")
        return ShopperIdentity(shop.workspace, shop.store.id, whose) if known == "signed" else None

    monkeypatch.setattr(shop.desk, "account_identity", identity, raising=False)
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await stores.get(tx, shop.store.id)
        assert store is not None
        await apply(tx, store, [CustomerRecord(LAYLA, store.created_at, first_name="Layla")])
        layla = await customer_of_platform(tx, store.id, LAYLA)
        await tx.execute(update(Order).where(Order.id == shop.order_id).values(customer_id=layla))
    web = Web(shop.app.catalogues, [Path(widget_routes.__file__).parent / "templates"], "https://ahlan.example")
    site = Starlette(routes=widget_routes.routes(shop.app, web), exception_handlers=dict(web.handlers()))
    opened: list[httpx.AsyncClient] = []

    def make(token: str = f"signed={LAYLA}", language: str = "en") -> httpx.AsyncClient:
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(site, client=(f"10.9.0.{len(opened) + 1}", 4000)),
            base_url="https://ahlan.example",
            headers={"authorization": f"Bearer {token}", "accept-language": language, "origin": "null"},
        )
        opened.append(http)
        return http

    yield make
    for http in opened:
        await http.aclose()


async def named(http: httpx.AsyncClient, order: str = ORDER) -> httpx.Response:
    return await http.get(f"{BASE}/order", params={"id": order})


def wish(**more: Any) -> dict[str, Any]:
    return {"items": [{"line": SHIRT, "quantity": 1, "reason": "too_small"}], "resolution": "refund", **more}


async def test_a_return_is_asked_for_from_the_account(shop: Shop, client: Client) -> None:
    http = client(language="he")
    found = (await named(http)).json()
    assert found["id"] == str(shop.order_id)
    offer = (await http.get(f"{BASE}/orders/{shop.order_id}/offer")).json()
    assert offer["lines"][0]["id"] == SHIRT
    decided = (await http.post(f"{BASE}/orders/{shop.order_id}/decision", json=wish())).json()
    assert decided["cash"]["amount"] == 5000
    sent = {"client_id": str(uuid4()), "wish": wish(), "digest": decided["digest"]}
    made = await http.post(f"{BASE}/orders/{shop.order_id}/returns", json=sent)
    assert (await http.post(f"{BASE}/orders/{shop.order_id}/returns", json=sent)).json() == made.json(), "one return"
    shown = (await http.get(f"{BASE}/orders/{shop.order_id}")).json()
    assert [one["number"] for one in shown["returns"]] == [made.json()["number"]]
    async with shop.app.db.transaction(shop.workspace) as tx:
        (request,) = await tx.scalars(select(ReturnRequest))
        assert (request.language, request.verified) == ("he", True)
    mine = f"{BASE}/returns/{made.json()['id']}"
    assert f"return={made.json()['id']}" in (await http.get(mine)).json()["page"], "its own page is led to"
    assert (await http.get(mine)).json()["number"] == made.json()["number"]
    assert (await http.post(f"{mine}/cancel")).json()["state"] == "cancelled"


@pytest.mark.parametrize("token", ["", "made-up", "signed", "نور"])
async def test_without_the_platforms_word_nothing_is_shown(shop: Shop, client: Client, token: str) -> None:
    http = client()
    http.headers = httpx.Headers([(b"authorization", f"Bearer {token}".encode())])
    answer = await named(http)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")
    for path in (f"orders/{shop.order_id}", f"orders/{shop.order_id}/offer"):
        assert (await http.get(f"{BASE}/{path}")).status_code == 401


async def test_a_signed_guest_is_asked_to_sign_in(shop: Shop, client: Client) -> None:
    answer = await named(client("signed="))
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "You are not signed in.")


async def test_somebody_elses_order_is_not_there_by_any_name(shop: Shop, client: Client) -> None:
    layla, sami = client(), client(f"signed={SAMI}")
    decided = (await layla.post(f"{BASE}/orders/{shop.order_id}/decision", json=wish())).json()
    sent = {"client_id": str(uuid4()), "wish": wish(), "digest": decided["digest"]}
    made = (await layla.post(f"{BASE}/orders/{shop.order_id}/returns", json=sent)).json()
    answers = [
        await named(sami),
        await named(sami, "gid://order/9999"),
        await sami.get(f"{BASE}/orders/{shop.order_id}"),
        await sami.get(f"{BASE}/orders/{shop.order_id}/offer"),
        await sami.get(f"{BASE}/orders/{shop.order_id}/places", params={"kind": "store"}),
        await sami.post(f"{BASE}/orders/{shop.order_id}/decision", json=wish()),
        await sami.post(f"{BASE}/orders/{shop.order_id}/returns", json={**sent, "client_id": str(uuid4())}),
        await sami.get(f"{BASE}/returns/{made['id']}"),
        await sami.post(f"{BASE}/returns/{made['id']}/cancel"),
    ]
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(404, "order_unproven")}
    assert answers[0].json()["error"]["message"] == answers[1].json()["error"]["message"]
    async with shop.app.db.transaction(shop.workspace) as tx:
        assert len(list(await tx.scalars(select(ReturnRequest)))) == 1


async def test_it_is_brought_to_a_branch_that_was_chosen_in_the_account(shop: Shop, client: Client) -> None:
    """The ways of the store's settings, and the refusals of what is none, are those of the storefront."""
    wished = Wished("", "", Place(), Parcel(1000), {"store": (), "own": ()}, (), False)
    branch = {"kind": "store", "name": "Dukkan", "line1": "7 Palm Street", "city": "Haifa", "country": ""}
    async with shop.app.db.transaction(shop.workspace) as tx:
        await shipping.save(tx, shop.app.vault, shop.store.id, wished, actor="system")
        await shipping.put_place(tx, shop.store.id, None, branch, None)
    http, order = client(), f"{BASE}/orders/{shop.order_id}"
    offer = (await http.get(f"{order}/offer")).json()
    assert [way["code"] for way in offer["ways"]] == ["store", "own"]
    (near,) = (await http.get(f"{order}/places", params={"kind": "store"})).json()["places"]
    assert near["name"] == "Dukkan"

    async def send(**way: Any) -> httpx.Response:
        asked = wish(**way)
        decided = (await http.post(f"{order}/decision", json=asked)).json()
        told = {"client_id": str(uuid4()), "wish": asked, "digest": decided["digest"]}
        return await http.post(f"{order}/returns", json=told)

    for way, code in (({"method": "store"}, "place"), ({"method": "label"}, "method")):
        assert (await send(**way)).json()["error"]["code"] == code
    made = (await send(method="store", place=near["id"])).json()
    shown = (await http.get(f"{BASE}/returns/{made['id']}")).json()
    assert (shown["way"]["code"], shown["way"]["place"]["name"]) == ("store", "Dukkan")


async def test_the_same_account_is_the_same_browser_whatever_it_is_opened_on(shop: Shop, client: Client) -> None:
    for _device in range(3):
        await named(client())
    await named(client(f"signed={SAMI}"))
    async with shop.app.db.transaction(shop.workspace) as tx:
        visitors = list(await tx.scalars(select(Visitor)))
        assert len({visitor.id for visitor in visitors}) == len(visitors) == 2
        people = {visitor.customer_id for visitor in visitors}
    assert len(people) == 2


async def test_two_that_were_put_together_are_met_as_one(shop: Shop, client: Client) -> None:
    await named(client())
    async with shop.app.db.transaction(shop.workspace) as tx:
        other = Customer(id=new_id())
        tx.add(other)
        await tx.flush()
        visitor = (await tx.scalars(select(Visitor))).one()
        visitor.customer_id = other.id
    assert (await named(client())).json()["id"] == str(shop.order_id)


async def test_a_page_of_any_origin_may_ask_but_no_cookie_counts(shop: Shop, client: Client) -> None:
    http = client()
    asked = await http.options(
        f"{BASE}/orders/{shop.order_id}/returns", headers={"access-control-request-method": "POST"}
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in asked.headers
    found = await named(http)
    assert (found.headers["access-control-allow-origin"], found.headers["cache-control"]) == ("*", "no-store")
    own = await http.get("/widget/orders")
    assert "access-control-allow-origin" not in own.headers, "the widget's own stay closed"


async def test_a_store_that_uninstalled_us_shows_nothing(shop: Shop, client: Client) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await stores.get(tx, shop.store.id)
        assert store is not None
        store.status = stores.UNINSTALLED
    assert (await named(client())).status_code == 404


async def test_a_session_of_the_widget_is_no_platforms_word(shop: Shop, client: Client) -> None:
    """And a platform that has no account pages answers nobody."""
    assert (await client().get("/widget/account/nobody/order", params={"id": ORDER})).status_code == 401
    assert (await client().get("/widget/orders")).status_code == 401


async def test_what_cannot_be_read_is_refused_in_words(shop: Shop, client: Client) -> None:
    http = client(language="ar")
    for body in (b"", b"[]", b'{"items": 7}'):
        path = f"{BASE}/orders/{shop.order_id}/decision"
        answer = await http.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["error"]["message"] != "That request could not be read."


async def test_where_the_shop_keeps_returns_to_itself_the_account_says_so(shop: Shop, client: Client) -> None:
    http = client()
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await stores.get(tx, shop.store.id)
        assert store is not None
        await self_service.save(tx, store, self_service.Rules(returns=False), by=None)
    for answer in (await named(http), await http.get(f"{BASE}/orders/{shop.order_id}/offer")):
        assert (answer.status_code, answer.json()["error"]["message"]) == (403, "This shop arranges returns itself.")


async def test_a_photo_is_handed_over_and_serves_who_took_it_alone(shop: Shop, client: Client) -> None:
    drawn = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(drawn, "PNG")
    layla, sami = client(), client(f"signed={SAMI}")
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await stores.get(tx, shop.store.id)
        assert store is not None
        await apply(tx, store, [CustomerRecord(SAMI, store.created_at, first_name="Sami")])
    kept = []
    for http in (layla, sami):
        answer = await http.post(f"{BASE}/photos", files={"file": ("dent.png", drawn.getvalue(), "image/png")})
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"id", "name"}, "no link leaves"
        kept.append(answer.json()["id"])
    assert (await client("nobody").post(f"{BASE}/photos")).status_code == 401
    for photo, status in ((kept[1], False), (kept[0], True)):
        asked = wish(items=[{"line": SHIRT, "quantity": 1, "reason": "defective", "photos": [photo]}])
        decided = (await layla.post(f"{BASE}/orders/{shop.order_id}/decision", json=asked)).json()
        sent = {"client_id": str(uuid4()), "wish": asked, "digest": decided.get("digest", "")}
        made = await layla.post(f"{BASE}/orders/{shop.order_id}/returns", json=sent)
        assert made.is_success == status, made.text
