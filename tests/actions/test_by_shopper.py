"""Shoppers change their own orders over the widget's wire, on both platforms, as far as the merchant lets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update
from starlette.applications import Starlette

import plugin.widget.routes as widget_routes
from integrations.shopify.simulator import oauth, trade
from plugin import stores
from plugin.crm.orders import Order
from plugin.crm.products import Product, Variant
from plugin.crm.tracking import Standing, Step
from plugin.crm.visitors import Visitor
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.web import Web
from plugin.reactions import TASKS
from plugin.returns import self_service
from plugin.returns.proof import OrderProof
from plugin.returns.self_service import Allowance, Rules, Why
from plugin.widget import session
from plugin.widget.session import Pass
from tests.actions.conftest import Till, _rest

Client = Callable[..., Awaitable[httpx.AsyncClient]]
ALL = Rules(cancel=Allowance(on=True), address=Allowance(on=True), change=Allowance(on=True))


@pytest.fixture
async def client(till: Till) -> AsyncIterator[Client]:
    """A browser with a session; `proven`: it gave the order's code. `rules`: what the merchant said."""
    web = Web(till.app.catalogues, [Path(widget_routes.__file__).parent / "templates"], "https://ahlan.example")
    site = Starlette(routes=widget_routes.routes(till.app, web), exception_handlers=dict(web.handlers()))
    opened = []

    async def make(*, proven: bool = True, rules: Rules = ALL, locale: str = "en") -> httpx.AsyncClient:
        await allow(till, rules)
        visitor = Visitor(id=new_id(), store_id=till.connection.store_id, secret_hash=uuid4().bytes)
        async with till.app.db.transaction(till.workspace) as tx:
            tx.add(visitor)
            await tx.flush()
            if proven:
                tx.add(
                    OrderProof(
                        store_id=till.connection.store_id, visitor_id=visitor.id, order_id=till.order_id, way="email",
                        expires_at=func.now(), proved_at=func.now(), ends_at=func.now() + timedelta(hours=1),
                    )
                )  # fmt: skip
        held = Pass(till.workspace, till.connection.store_id, visitor.id, locale=locale)
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(site, client=(f"10.9.0.{len(opened) + 1}", 4000)),
            base_url=f"https://ahlan.example/widget/orders/{till.order_id}",
            headers={"authorization": f"Bearer {session.issue(till.app.vault, held)}"},
        )
        opened.append(http)
        return http

    yield make
    for http in opened:
        await http.aclose()


async def allow(till: Till, rules: Rules) -> None:
    async with till.app.db.transaction(till.workspace) as tx:
        store = await stores.get(tx, till.connection.store_id)
        assert store is not None
        await self_service.save(tx, store, rules, by=till.agent)


async def page(http: httpx.AsyncClient) -> dict[str, Any]:
    """The order as its page shows it."""
    found: dict[str, Any] = (await http.get(str(http.base_url).rstrip("/"))).json()
    return found


async def look(http: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await http.post("/look", json=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def done(till: Till, http: httpx.AsyncClient, seen: dict[str, Any]) -> dict[str, Any]:
    """Confirmed twice at once, as by a double click, and carried out."""
    said = {"doing": seen["doing"], "seen": seen["seen"]}
    both = [await http.post("/do", json=said) for _time in range(2)]
    assert [one.status_code for one in both] == [200, 200], both[-1].text
    await till.work()
    found: dict[str, Any] = (await http.get(f"/doings/{seen['doing']}")).json()
    return found


async def told(till: Till) -> list[str]:
    """What was said to the team in the shopper's name, after its jobs ran."""
    async with till.app.db.queue.connect() as connection:
        waiting = (
            await connection.execute(
                text("SELECT id FROM jobs WHERE workspace_id = :w AND task = 'tell_self_service' AND done_at IS NULL"),
                {"w": till.workspace},
            )
        ).scalars().all()  # fmt: skip
    for id in waiting:
        await jobs.run(till.app.db, till.app, TASKS, till.workspace, id)
    async with till.app.db.transaction(till.workspace) as tx:
        rows = await tx.execute(
            text("SELECT text FROM messages WHERE workspace_id = :w AND author = 'shopper' ORDER BY created_at"),
            {"w": till.workspace},
        )
        return [row.text for row in rows]


async def test_a_shopper_cancels_and_the_money_is_on_its_way(till: Till, client: Client) -> None:
    http = await client()
    shown = (await page(http))["alone"]
    assert set(shown) == {"again", "doings", "cancel", "address", "change"}
    seen = await look(http, kind="cancel")
    order = await till.ours()
    assert seen["back"]["amount"] == order.total
    assert till.wire.writes == [], "looking changes nothing"
    found = await done(till, http, seen)
    assert (found["state"], found["back"]["amount"]) == ("done", order.total)
    assert len(await till.refunds()) == 1
    after = await page(http)
    assert after["step"] == "cancelled"
    assert set(after["alone"]) == {"again", "doings"}
    assert after["alone"]["doings"][0]["state"] == "done"
    async with till.app.db.transaction(till.workspace) as tx:
        line = (
            await tx.execute(
                text("SELECT agent_id, changes FROM audit_log WHERE workspace_id = :w AND kind = 'orders.cancel'"),
                {"w": till.workspace},
            )
        ).one()
    assert (line.agent_id, line.changes["by"]) == (None, ["", "shopper"])
    assert await told(till) == [], "nobody has to be bothered with what worked"


async def test_the_address_is_changed_in_the_store_and_changed_back(till: Till, client: Client) -> None:
    http = await client()
    now = (await http.get("/address")).json()["address"]
    home = {**now, "line1": "Rainbow Street 7", "city": now["city"] or "Amman"}
    seen = await look(http, kind="address", address=home)
    found = await done(till, http, seen)
    assert found["state"] == "done", found
    assert (await http.get("/address")).json()["address"]["line1"] == "Rainbow Street 7"
    if now["line1"]:
        back = await done(till, http, await look(http, kind="address", address=found["undo"]))
        assert back["state"] == "done"
        assert (await http.get("/address")).json()["address"]["line1"] == now["line1"]
    for wrong in (
        {**home, "line1": ""},
        {**home, "country": "FR"},
        {**home, "country": "x"},
        {**home, "city": "y" * 999},
    ):
        assert (await http.post("/look", json={"kind": "address", "address": wrong})).status_code in (400, 422)


async def test_one_less_is_shown_done_and_refunded(till: Till, client: Client) -> None:
    http = await client()
    lines = (await http.get("/goods")).json()["lines"]
    two = next(line for line in lines if line["quantity"] == 2)
    seen = await look(http, kind="change", lines=[{"id": two["id"], "quantity": 1}])
    [shown] = seen["lines"]
    assert (shown["title"], shown["from"], shown["to"], shown["kind"]) == (two["title"], 2, 1, "")
    assert seen["owed"] is None
    found = await done(till, http, seen)
    assert (found["state"], found["back"]) == ("done", seen["back"])
    assert len(await till.refunds()) == 1
    left = {line["id"]: line["quantity"] for line in (await page(http))["lines"]}
    # WooCommerce keeps the line as it was bought and says in a refund how many of it went.
    assert left[two["id"]] == (1 if till.kind == "shopify" else 2)


async def test_one_more_is_paid_afterwards_on_the_shops_own_page(till: Till, client: Client) -> None:
    await stocked(till)
    http = await client()
    two = next(line for line in (await http.get("/goods")).json()["lines"] if line["quantity"] == 2)
    seen = await look(http, kind="change", lines=[{"id": two["id"], "quantity": 3}])
    assert seen["back"] is None
    assert seen["owed"]["amount"] > 0
    assert (await done(till, http, seen))["state"] == "done"
    assert (await http.post("/pay", json={})).json()["link"].startswith("http")
    more = {"kind": "change", "lines": [{"id": two["id"], "quantity": 99}]}
    assert (await http.post("/look", json=more)).json()["error"]["code"] == "out_of_stock"


@pytest.mark.parametrize("till", ["shopify"], indirect=True)
async def test_another_kind_is_named_before_it_is_confirmed(till: Till, client: Client) -> None:
    await stocked(till)
    shop, lines = till.sim.shop, (await till.store_order())["line_items"]
    line, product = next(
        (one, held) for one in lines if len((held := trade.find_variant(shop, one["variant_id"])[0])["variants"]) > 1
    )
    other = next(one for one in product["variants"] if one["id"] != line["variant_id"])
    async with till.app.db.transaction(till.workspace) as tx:
        key = f"gid://shopify/Product/{product['id']}"
        ours = await tx.scalar(
            select(Product).where(Product.workspace_id == till.workspace, Product.external_id == key)
        )
        assert ours is not None
        tx.add(
            Variant(
                store_id=ours.store_id, external_id=other["admin_graphql_api_id"], version=datetime.now(UTC),
                product_id=ours.id, title="Large", stock=5,
            )
        )  # fmt: skip
    http = await client()
    had = next(one for one in (await http.get("/goods")).json()["lines"] if one["id"].endswith(str(line["id"])))
    asked = {"id": had["id"], "quantity": had["quantity"], "variant": other["admin_graphql_api_id"]}
    [shown] = (await look(http, kind="change", lines=[asked]))["lines"]
    assert (shown["title"], shown["was"], shown["kind"]) == (had["title"], had["variant"], "Large")
    assert (shown["from"], shown["to"]) == (had["quantity"], had["quantity"])


async def stocked(till: Till) -> None:
    """The catalogue knows what was bought: five of each."""
    held = await till.store_order()
    async with till.app.db.transaction(till.workspace) as tx:
        for line in held["line_items"]:
            shopify = till.kind == "shopify"
            key = f"gid://shopify/Product/{line['product_id']}" if shopify else str(line["product_id"])
            own = f"gid://shopify/ProductVariant/{line['variant_id']}" if shopify else key
            product = Product(
                id=new_id(), store_id=till.connection.store_id, external_id=key, version=datetime.now(UTC), title="P",
                status="active",
            )  # fmt: skip
            tx.add(product)
            await tx.flush()
            tx.add(
                Variant(
                    store_id=till.connection.store_id, external_id=own, version=datetime.now(UTC),
                    product_id=product.id, title="V", stock=5,
                )
            )  # fmt: skip


async def test_the_same_again_is_a_cart_of_what_is_still_sold(till: Till, client: Client) -> None:
    await stocked(till)
    http = await client(rules=Rules())
    found = (await http.get("/again")).json()
    assert (len(found["goods"]), found["gone"]) == (2, [])
    assert {one["quantity"] for one in found["goods"]} == {1, 2}
    mark = "/cart/" if till.kind == "shopify" else "/checkout-link/?products="
    assert found["link"].startswith(f"{till.connection.url.rstrip('/')}{mark}")
    assert len(found["link"].partition(mark)[2].split(",")) == 2
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(Variant).where(Variant.workspace_id == till.workspace).values(stock=0))
    empty = (await http.get("/again")).json()
    assert (empty["link"], empty["goods"], len(empty["gone"])) == ("", [], 2)
    await allow(till, Rules(again=False))
    assert (await http.get("/again")).status_code == 404


async def test_nobody_without_the_proof_sees_or_does_anything(till: Till, client: Client) -> None:
    theirs, stranger = await client(), await client(proven=False)
    seen = await look(theirs, kind="cancel")
    for method, path in (
        ("GET", "/goods"), ("GET", "/address"), ("GET", "/again"), ("GET", f"/doings/{seen['doing']}"),
        ("POST", "/look"), ("POST", "/do"), ("POST", "/pay"), ("POST", "/ask"),
    ):  # fmt: skip
        body = {"kind": "cancel", "doing": seen["doing"], "seen": seen["seen"], "client_id": str(uuid4())}
        answer = await stranger.request(method, path, json=body if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "order_unproven"), path
    other = await client()
    stolen = await other.post("/do", json={"doing": seen["doing"], "seen": seen["seen"]})
    assert stolen.status_code == 404, "proven, but looked at by somebody else"
    assert till.wire.writes == []


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (Rules(), "self_off"), (Rules(cancel=Allowance(on=True, paid=False)), "self_payment"),
        (Rules(cancel=Allowance(on=True, most=1)), "self_amount"),
    ],
)  # fmt: skip
async def test_the_merchants_limits_hold_at_the_look_and_at_the_confirmation(
    till: Till, client: Client, rules: Rules, code: str
) -> None:
    http = await client()
    seen = await look(http, kind="cancel")
    await allow(till, rules)
    refused = await http.post("/look", json={"kind": "cancel"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, code)
    late = await http.post("/do", json={"doing": seen["doing"], "seen": seen["seen"]})
    assert (late.status_code, late.json()["error"]["code"]) == (409, code)
    assert "cancel" not in (await page(http))["alone"]
    assert till.wire.writes == []


async def test_the_time_ends_between_the_look_and_the_confirmation(till: Till, client: Client) -> None:
    http = await client(rules=Rules(cancel=Allowance(on=True, minutes=30)))
    seen = await look(http, kind="cancel")
    async with till.app.db.transaction(till.workspace) as tx:
        past = func.now() - timedelta(minutes=31)
        await tx.execute(update(Order).where(Order.id == till.order_id).values(placed_at=past))
    late = await http.post("/do", json={"doing": seen["doing"], "seen": seen["seen"]})
    assert late.json()["error"]["code"] == "self_late"
    assert till.wire.writes == []


async def test_what_was_not_shown_is_not_done(till: Till, client: Client) -> None:
    http = await client()
    seen = await look(http, kind="cancel")
    wrong = await http.post("/do", json={"doing": seen["doing"], "seen": "1/"})
    assert wrong.json()["error"]["code"] == "decision_changed"
    two = next(line for line in (await http.get("/goods")).json()["lines"] if line["quantity"] == 2)
    for lines in (
        [], [{"id": "x", "quantity": 1}], [{"id": two["id"], "quantity": -1}],
        [{"id": two["id"], "quantity": 1_000_000}],
        [{"id": two["id"], "quantity": 1}] * 2, [{"id": two["id"], "quantity": 1, "variant": "gid://x/1"}],
        [{"id": two["id"], "quantity": 1.5}],
    ):  # fmt: skip
        answer = await http.post("/look", json={"kind": "change", "lines": lines})
        assert answer.status_code in (400, 422), lines
    assert till.wire.writes == []


async def test_shipped_meanwhile_it_fails_in_the_stores_words_and_the_team_hears_of_it(
    till: Till, client: Client
) -> None:
    http = await client(locale="he")
    seen = await look(http, kind="cancel")
    await http.post("/do", json={"doing": seen["doing"], "seen": seen["seen"]})
    if till.kind == "shopify":
        trade.fulfil(till.sim.shop, int(till.order.rsplit("/", 1)[-1]))
        said = "Cannot cancel an order that has fulfillments"
    else:
        await _rest(till.sim, f"orders/{till.order}/refunds", "POST", {"amount": "1.000", "api_refund": False})
        said = "somebody refunded part of this order meanwhile"
    await till.work()
    found = (await http.get(f"/doings/{seen['doing']}")).json()
    assert (found["state"], found["said"]) == ("failed", said)
    (message,) = await told(till)
    assert said in message
    assert (await till.ours()).name in message
    assert await told(till) == [message], "said once"
    assert (await till.ours()).cancelled_at is None


async def test_a_refusal_becomes_a_message_with_one_press(till: Till, client: Client) -> None:
    http = await client()
    if till.kind == "shopify":
        trade.fulfil(till.sim.shop, int(till.order.rsplit("/", 1)[-1]))
    else:
        await _rest(till.sim, f"orders/{till.order}", "PUT", {"status": "completed"})
    refused = await look(http, kind="cancel")
    assert refused == {"refused": "The order is being packed or on its way already."}
    asked = {"client_id": str(uuid4()), "kind": "cancel", "words": "I am too late?", "said": refused["refused"]}
    assert [(await http.post("/ask", json=asked)).status_code for _time in range(2)] == [204, 204]
    (message,) = await told(till)
    assert "I am too late?" in message
    assert refused["refused"] in message


@pytest.mark.parametrize("till", ["shopify"], indirect=True)
async def test_without_the_merchants_permission_the_store_is_not_blamed(till: Till, client: Client) -> None:
    http = await client()
    oauth.change_scopes(till.sim.shop, [one for one in till.sim.shop.granted if one != "write_orders"])
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(stores.Store, till.connection.store_id)
        assert store is not None
        store.scopes = [one for one in store.scopes if one != "write_orders"]
    assert (await look(http, kind="cancel")) == {"refused": "This shop does that itself."}


# The rules alone

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def stands(step: Step = Step.ORDERED, *, cancelled: bool = False) -> Standing:
    return Standing(step, ((Step.ORDERED, NOW),), (), cancelled, parts=False)


def bought(minutes: int, total: int = 5000, status: str = "paid") -> Order:
    return Order(
        id=UUID(int=1), placed_at=NOW - timedelta(minutes=minutes), total=total, payment_status=status,
        fulfilment_status="unfulfilled",
    )  # fmt: skip


@given(
    on=st.booleans(), minutes=st.integers(0, 90), paid=st.booleans(), unpaid=st.booleans(),
    most=st.none() | st.integers(0, 10_000), age=st.integers(0, 120), total=st.integers(0, 10_000),
    status=st.sampled_from(["paid", "pending"]), step=st.sampled_from([Step.ORDERED, Step.PACKED, Step.DELIVERED]),
)  # fmt: skip
def test_a_tighter_rule_never_allows_more_and_time_never_brings_it_back(
    on: bool, minutes: int, paid: bool, unpaid: bool, most: int | None, age: int, total: int, status: str, step: Step
) -> None:
    rule = Allowance(on, minutes, paid, unpaid, most)
    why = self_service.judge(rule, bought(age, total, status), stands(step), NOW)
    if why is None:
        assert on
        assert step is Step.ORDERED
        assert most is None or total <= most
        assert minutes == 0 or age < minutes
        return
    later = self_service.judge(rule, bought(age + 1, total, status), stands(step), NOW)
    assert later is not None
    assert self_service.judge(Allowance(on, minutes, paid, unpaid, 0), bought(age, total, status), stands(step), NOW)


def test_each_limit_has_its_reason() -> None:
    rule = Allowance(on=True, minutes=60, unpaid=False, most=5000)
    assert self_service.judge(rule, bought(1), stands(), NOW) is None
    assert self_service.judge(rule, bought(1), stands(cancelled=True), NOW) is Why.CANCELLED
    assert self_service.judge(rule, bought(1), stands(Step.PACKED), NOW) is Why.SENT
    assert self_service.judge(rule, bought(60), stands(), NOW) is Why.LATE
    assert self_service.judge(rule, bought(1, status="pending"), stands(), NOW) is Why.PAYMENT
    assert self_service.judge(rule, bought(1, 5001), stands(), NOW) is Why.AMOUNT
