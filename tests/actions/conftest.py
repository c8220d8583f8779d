"""A till: one real order in a simulated store of either platform, an agent, and a wire that loses things on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from integrations.shopify.simulator import oauth, trade
from plugin import stores, team
from plugin.app import App
from plugin.crm import actions, sync
from plugin.crm.actions import ActionRow
from plugin.crm.orders import Order
from plugin.kernel import jobs
from plugin.platform import Connection, OrderAction, Platform, Quote
from plugin.reactions import TASKS
from plugin.team import Agent, Role
from tests.integrations.shopify.conftest import World
from tests.integrations.shopify.conftest import world as world
from tests.integrations.woocommerce.test_platform import SITE, Shop
from tests.integrations.woocommerce.test_platform import shop as shop

SCOPES = ["write_orders", "write_draft_orders", "write_discounts", "write_order_edits"]
_WRITES = ("mutation RefundCreate", "mutation OrderCancel", "mutation OrderUpdate", "mutation TagsAdd",
           "mutation DraftCreate", "mutation DiscountCreate", "mutation EditCommit",
           "mutation DraftComplete", "POST /wp-json/wc/v3/orders",
           "PUT /wp-json/wc/v3/orders", "POST /wp-json/wc/v3/coupons")  # fmt: skip


class Killed(BaseException):
    """The process is gone: nothing after this runs, not even error handling."""


@dataclass
class Lossy(httpx.AsyncBaseTransport):
    """The wire to a store. `lose`: how many answers of writes get lost; `cut`: how many writes never arrive.

    `kill_at`: the process dies with the answer of so many writes from now.
    """

    inner: httpx.AsyncBaseTransport
    lose: int = 0
    cut: int = 0
    kill: int = 0
    kill_at: int = 0
    broken: bool = False
    writes: list[str] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            raise httpx.ConnectError("the store is away", request=request)
        said = f"{request.method} {request.url.path} {request.content.decode(errors='replace')}"
        write = any(mark in said for mark in _WRITES)
        if write and self.cut:
            self.cut -= 1
            raise httpx.ConnectError("nobody there", request=request)
        answer = await self.inner.handle_async_request(request)
        if write:
            self.writes.append(said)
        if write and self.kill_at:
            self.kill_at -= 1
            if self.kill_at == 0:
                raise Killed
        if write and self.kill:
            self.kill -= 1
            raise Killed
        if write and self.lose:
            self.lose -= 1
            raise httpx.ReadTimeout("no answer", request=request)
        return answer


@dataclass
class Till:
    """One order that can be acted on. `platform` is the real adapter, `wire` its way to the simulator."""

    app: App
    workspace: UUID
    kind: str
    platform: Platform
    connection: Connection
    wire: Lossy
    order_id: UUID
    order: str
    agent: Agent
    sim: Any

    async def refunds(self) -> list[str]:
        """What the store itself says went back of the order, each as it writes amounts."""
        if self.kind == "shopify":
            held = self.sim.shop.state.get("orders", int(self.order.rsplit("/", 1)[-1]))
            return [f"{one['_total_minor'] / 100:.2f}" for one in held["refunds"]]
        return [str(one["amount"]) for one in await _rest(self.sim, f"orders/{self.order}/refunds")]

    async def store_order(self) -> dict[str, Any]:
        """The order as the store keeps it."""
        if self.kind == "shopify":
            found: dict[str, Any] = self.sim.shop.state.get("orders", int(self.order.rsplit("/", 1)[-1]))
            return found
        read: dict[str, Any] = await _rest(self.sim, f"orders/{self.order}")
        return read

    async def quote(self, action: OrderAction) -> Quote:
        return await self.platform.quote(self.connection, self.order, action)

    async def prepare(self, action: OrderAction, *, by: Agent | None = None, quote: Quote | None = None) -> ActionRow:
        quote = quote or await self.quote(action)
        async with self.app.db.transaction(self.workspace) as tx:
            order = await tx.get(Order, self.order_id)
            assert order is not None
            return await actions.prepare(tx, order, action, quote, by=by or self.agent)

    async def confirm(self, row: ActionRow, *, by: Agent | None = None, amount: str | None = None) -> ActionRow:
        said = amount if amount is not None else "" if row.amount is None else str(row.amount)
        async with self.app.db.transaction(self.workspace) as tx:
            return await actions.confirm(tx, row.id, by=by or self.agent, amount=said)

    async def work(self) -> None:
        """A worker takes what is due of this till's actions, and leaves everything else in the database alone."""
        async with self.app.db.queue.connect() as connection:
            waiting = (
                await connection.execute(
                    text("SELECT id FROM jobs WHERE workspace_id = :w AND task = 'carry_out' AND done_at IS NULL "
                         "AND failed_at IS NULL AND run_at <= now() ORDER BY run_at"),
                    {"w": self.workspace},
                )
            ).scalars().all()  # fmt: skip
        for id in waiting:
            await jobs.run(self.app.db, self.app, TASKS, self.workspace, id)

    async def hurry(self) -> None:
        """Time passes: whatever waits for its next attempt, or for a dead worker's lease, is due now."""
        async with self.app.db.queue.begin() as connection:
            await connection.execute(
                text("UPDATE jobs SET run_at = now(), leased_until = NULL WHERE workspace_id = :w AND done_at IS NULL "
                     "AND task = 'carry_out'"),
                {"w": self.workspace},
            )  # fmt: skip

    async def age(self, row: ActionRow, minutes: float) -> None:
        """It was sent so long ago."""
        async with self.app.db.transaction(self.workspace) as tx:
            await tx.execute(
                text("UPDATE order_actions SET sent_at = sent_at - make_interval(secs => :s), "
                     "created_at = created_at - make_interval(secs => :s) WHERE workspace_id = :w AND id = :id"),
                {"s": minutes * 60, "w": self.workspace, "id": row.id},
            )  # fmt: skip

    async def do(self, action: OrderAction, *, by: Agent | None = None) -> ActionRow:
        """Look, confirm, and have it carried out."""
        row = await self.confirm(await self.prepare(action, by=by), by=by)
        await self.work()
        return await self.row(row)

    async def row(self, row: ActionRow) -> ActionRow:
        async with self.app.db.transaction(self.workspace) as tx:
            found = await tx.get(ActionRow, row.id)
        assert found is not None
        return found

    async def ours(self) -> Order:
        """The order as the CRM has it."""
        async with self.app.db.transaction(self.workspace) as tx:
            found = await tx.get(Order, self.order_id)
        assert found is not None
        return found

    async def events(self, kind: str) -> list[dict[str, Any]]:
        async with self.app.db.transaction(self.workspace) as tx:
            rows = await tx.execute(
                text("SELECT data FROM events WHERE workspace_id = :w AND kind = :k ORDER BY at"),
                {"w": self.workspace, "k": kind},
            )
            return [row.data for row in rows]

    async def person(self, role: Role, **rights: Any) -> Agent:
        """Somebody of the team."""
        async with self.app.db.transaction(self.workspace) as tx:
            agent = await team.add(tx, name=role.value.title(), email=f"{role}-{self.order_id}@x.example", role=role)
            for name, value in rights.items():
                setattr(agent, name, value)
        return agent


async def _rest(shop: Shop, path: str, method: str = "GET", body: object = None) -> Any:
    """The site's own REST API, as its owner asks it."""
    key = await shop.sim("keys", {"permissions": "read_write"})
    auth = (key["consumer_key"], key["consumer_secret"])
    answer = await shop.site.request(method, f"/wp-json/wc/v3/{path}", auth=auth, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def _till(app: App, workspace: UUID, kind: str, platform: Any, connection: Connection, wire: Lossy,
                sim: Any, order: str) -> Till:  # fmt: skip
    ours = replace(app, platforms={kind: platform})
    records = await platform.read_order(connection, order)
    async with app.db.transaction(workspace) as tx:
        store = await stores.get(tx, connection.store_id)
        assert store is not None
        await sync.apply(tx, store, records)
        found = await tx.scalar(select(Order).where(Order.workspace_id == workspace, Order.external_id == order))
        agent = await team.add(tx, name="Maya", email=f"maya-{workspace}@x.example", role=Role.OWNER)
    assert found is not None
    return Till(ours, workspace, kind, platform, connection, wire, found.id, order, agent, sim)


@pytest.fixture
async def shopify_till(app: App, world: World) -> Till:
    """An order of two kinds of goods and delivery at Shopify, paid and not sent."""
    connection = await world.connect(scopes=SCOPES)
    wire = Lossy(world.wire)
    world.platform._http._client._transport = wire
    variants = [held["variants"][0]["id"] for held in world.sim.shop.state.all("products")[:2]]
    customer = world.sim.shop.state.all("customers")[0] if world.sim.shop.state.count("customers") else None
    placed = trade.place_order(
        world.sim.shop, [(variants[0], 1), (variants[1], 2)], customer=customer, email="layla@example.com",
        address={"first_name": "Layla", "last_name": "H", "name": "Layla H", "company": None, "address1": "1 Rd",
                 "address2": None, "city": "Haifa", "province": None, "province_code": None, "zip": "1",
                 "country": "IL", "country_code": "IL", "phone": None},
    )  # fmt: skip
    assert world.session is not None
    return await _till(app, world.session.workspace_id, "shopify", world.platform, connection, wire, world.sim,
                       placed["admin_graphql_api_id"])  # fmt: skip


@pytest.fixture
async def woo_till(app: App, workspace: UUID, shop: Shop) -> Till:
    """The same at WooCommerce: paid by a gateway that gives money back by itself."""
    connection = await shop.connect()
    await shop.sim("options", {"refunding_gateways": ["bacs"]})
    goods = [row["id"] for row in await _rest(shop, "products?type=simple&per_page=2")]
    items = [{"product_id": goods[0], "quantity": 1}, {"product_id": goods[1], "quantity": 2}]
    placed = await shop.sim("order", {"items": items, "payment_method": "bacs", "email": "layla@x.example"})
    await _rest(shop, f"orders/{placed['id']}", "PUT", {"status": "processing"})
    wire = Lossy(shop.wires.ends[SITE])
    shop.wires.ends[SITE] = wire
    return await _till(app, workspace, "woocommerce", shop.platform, connection, wire, shop, str(placed["id"]))


@pytest.fixture(params=["shopify", "woocommerce"])
def till(request: pytest.FixtureRequest) -> Till:
    """The same order on either platform."""
    found: Till = request.getfixturevalue("shopify_till" if request.param == "shopify" else "woo_till")
    return found


__all__ = ["Killed", "Lossy", "Till", "oauth"]
