"""A counter where goods come back: one sent order in a simulated store of either platform, and a lossy wire to it."""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from integrations.shopify.simulator import trade
from integrations.shopify.simulator.state import Doc
from plugin.kernel.http import Limiter
from plugin.kernel.money import Money
from plugin.platform import Connection, Done, Platform, PlatformError
from plugin.return_desk import (
    DecideReturn,
    OpenReturn,
    PayReturn,
    ReturnableLine,
    ReturnableOrder,
    ReturnAction,
    ReturnPart,
    ReturnQuote,
)
from tests.integrations.shopify.conftest import World
from tests.integrations.shopify.conftest import world as world
from tests.integrations.woocommerce.test_platform import SITE, Shop
from tests.integrations.woocommerce.test_platform import shop as shop

SCOPES = ["write_returns", "read_locations", "write_store_credit_account_transactions", "read_store_credit_accounts"]
_NUMBERS = itertools.count(1)


@dataclass
class Lossy(httpx.AsyncBaseTransport):
    """The wire to a store. Of the writes that hold `on`: `lose` answers get lost, `cut` requests never arrive."""

    inner: httpx.AsyncBaseTransport
    lose: int = 0
    cut: int = 0
    on: str = ""
    writes: list[str] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        said = f"{request.method} {request.url.path} {request.content.decode(errors='replace')}"
        write = "mutation " in said if "graphql" in request.url.path else request.method != "GET"
        meant = write and self.on in said
        if meant and self.cut:
            self.cut -= 1
            raise httpx.ConnectError("nobody there", request=request)
        answer = await self.inner.handle_async_request(request)
        if write:
            self.writes.append(said)
        if meant and self.lose:
            self.lose -= 1
            raise httpx.ReadTimeout("no answer", request=request)
        return answer


@dataclass
class Counter:
    """One order whose goods were sent, the real adapter, and the store's own books."""

    kind: str
    platform: Platform
    connection: Connection
    wire: Lossy
    order: str
    sim: Any
    number: str = field(default_factory=lambda: f"RET-{next(_NUMBERS)}")

    async def read(self) -> ReturnableOrder:
        found = await self.platform.returnable(self.connection, self.order)
        assert found is not None
        return found

    async def lines(self) -> tuple[ReturnableLine, ...]:
        return (await self.read()).lines

    async def quote(self, action: ReturnAction) -> ReturnQuote:
        return await self.platform.quote_return(self.connection, self.order, action)

    async def act(self, action: ReturnAction, quote: ReturnQuote | None = None, key: str = "") -> Done:
        quote = quote or await self.quote(action)
        assert not quote.refusal, quote.refusal
        assert not quote.ask, quote.ask
        return await self.platform.act_return(self.connection, self.order, action, quote, key or str(uuid.uuid4()))

    async def settle(self, action: ReturnAction, quote: ReturnQuote, key: str) -> Done | None:
        return await self.platform.settle_return(self.connection, self.order, action, quote, key)

    async def open(self, *quantities: int, approved: bool = True, **more: Any) -> str:
        """A return of so many of each line; the store's id of it."""
        parts = tuple(
            ReturnPart(line.external_id, count, "too_small", "pinches")
            for line, count in zip(await self.lines(), quantities, strict=False)
            if count
        )
        return (await self.act(OpenReturn(self.number, parts, approved, **more))).external_id

    async def pay(self, id: str, amount: Money, *quantities: int, **more: Any) -> PayReturn:
        """What would give so much back for so many of each line."""
        parts = tuple(
            ReturnPart(line.external_id, count)
            for line, count in zip(await self.lines(), quantities, strict=False)
            if count
        )
        return PayReturn(self.number, id, parts, amount, **more)

    async def decide(self, id: str, *, approve: bool, **more: Any) -> Done:
        return await self.act(DecideReturn(self.number, id, approve, **more))

    async def ledger(self) -> list[Doc]:
        """Money that really moved, as the store's books have it."""
        if self.kind == "shopify":
            return list(self.sim.shop.state.all("ledger"))
        told = await self.sim.sim("ledger", method="GET")
        return list(told["ledger"])

    async def moved(self) -> list[int]:
        return [one["minor"] for one in await self.ledger()]


async def trouble(awaited: Any) -> PlatformError:
    """The error that it ends with."""
    with pytest.raises(PlatformError) as caught:
        await awaited
    return caught.value


def shopify_order(world: World, *, guest: bool = False, **more: Any) -> Doc:
    """Two kinds of goods, one of them twice, with delivery, sent and delivered."""
    shop = world.sim.shop
    # Cheap goods: dear ones are delivered for nothing.
    cheap = sorted(shop.state.all("products"), key=lambda held: float(held["variants"][0]["price"]))[:2]
    lines = [(cheap[0]["variants"][0]["id"], 1), (cheap[1]["variants"][0]["id"], 3)]
    customer = None if guest else shop.state.all("customers")[0]
    order = trade.place_order(shop, lines, customer=customer, email="layla@example.com", **more)
    trade.fulfil(shop, order["id"])
    return trade.deliver(shop, order["id"])


@pytest.fixture
async def shopify(world: World) -> Counter:
    """The order at Shopify, with a tenth off."""
    connection = await world.connect(scopes=SCOPES)
    wire = Lossy(world.wire)
    world.platform._http._client._transport = wire
    order = shopify_order(world, discount=10)
    return Counter("shopify", world.platform, connection, wire, order["admin_graphql_api_id"], world.sim)


async def rest(shop: Shop, path: str, method: str = "GET", body: object = None) -> Any:
    """The site's own REST API, as its owner asks it."""
    key = await shop.sim("keys", {"permissions": "read_write"})
    auth = (key["consumer_key"], key["consumer_secret"])
    answer = await shop.site.request(method, f"/wp-json/wc/v3/{path}", auth=auth, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


@pytest.fixture
async def woo(shop: Shop) -> Counter:
    """The same at WooCommerce: sent, and paid by a gateway that gives money back by itself."""
    connection = await shop.connect()
    # Its patience with slow shops has tests of its own.
    shop.platform._http.limiter = Limiter(capacity=1e6, rate=1e6)
    await shop.sim("options", {"refunding_gateways": ["bacs"]})
    goods = [row["id"] for row in await rest(shop, "products?type=simple&per_page=2")]
    items = [{"product_id": goods[0], "quantity": 1}, {"product_id": goods[1], "quantity": 3}]
    placed = await shop.sim("order", {"items": items, "payment_method": "bacs", "email": "layla@x.example"})
    for status in ("processing", "completed"):
        await rest(shop, f"orders/{placed['id']}", "PUT", {"status": status})
    wire = Lossy(shop.wires.ends[SITE])
    shop.wires.ends[SITE] = wire
    return Counter("woocommerce", shop.platform, connection, wire, str(placed["id"]), shop)


@pytest.fixture(params=["shopify", "woo"])
def counter(request: pytest.FixtureRequest) -> Counter:
    """The same order on either platform."""
    found: Counter = request.getfixturevalue(request.param)
    return found


def some(amount: Money, minor: int) -> Money:
    """So many minor units of the same currency."""
    return dataclasses.replace(amount, amount=minor)
