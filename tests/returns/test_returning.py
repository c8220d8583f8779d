"""Sending something back over the widget's wire: what is shown, what is asked for, and to whom it is shown at all."""

import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import func, select, update
from starlette.applications import Starlette

import plugin.widget.routes as widget_routes
from plugin.conversations import attachments
from plugin.crm.orders import Order, OrderLine
from plugin.crm.products import Product, Variant
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.kernel.web import Web
from plugin.platform import PlatformError
from plugin.returns import self_service
from plugin.returns.policy import PayWhen, Policy, Resolution, Terms
from plugin.returns.proof import OrderProof
from plugin.returns.records import ReturnRequest
from plugin.returns.self_service import Door, Rules
from plugin.stores import Store
from plugin.widget import doors, session
from plugin.widget.session import Pass
from tests.returns.desk import MUG, SHIRT, Shop, ils

Client = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[Client]:
    """A browser with a session; `proven`: it gave the order's code."""
    web = Web(shop.app.catalogues, [Path(widget_routes.__file__).parent / "templates"], "https://ahlan.example")
    site = Starlette(routes=widget_routes.routes(shop.app, web), exception_handlers=dict(web.handlers()))
    opened = []

    async def make(*, proven: bool = True, ended: bool = False, locale: str = "en") -> httpx.AsyncClient:
        async with shop.app.db.transaction(shop.workspace) as tx:
            visitor = Visitor(id=new_id(), store_id=shop.store.id, secret_hash=uuid4().bytes)
            tx.add(visitor)
            await tx.flush()
            if proven:
                ends = func.now() + func.make_interval(0, 0, 0, 0, -1 if ended else 1)
                tx.add(
                    OrderProof(
                        store_id=shop.store.id, visitor_id=visitor.id, order_id=shop.order_id, way="email",
                        expires_at=func.now(), proved_at=func.now(), ends_at=ends,
                    )
                )  # fmt: skip
        token = session.issue(shop.app.vault, Pass(shop.workspace, shop.store.id, visitor.id, locale=locale))
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(site, client=(f"10.8.0.{len(opened) + 1}", 4000)),
            base_url="https://ahlan.example", headers={"authorization": f"Bearer {token}"},
        )  # fmt: skip
        opened.append(http)
        return http

    yield make
    for http in opened:
        await http.aclose()


def wish(*items: dict[str, Any], resolution: str = "refund", **more: Any) -> dict[str, Any]:
    made = [{"line": SHIRT, "quantity": 1, "reason": "too_small", **item} for item in items or ({},)]
    return {"items": made, "resolution": resolution, **more}


def photo() -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(held, "JPEG")
    return held.getvalue()


async def test_a_return_is_made_looked_at_and_called_off(shop: Shop, client: Client) -> None:
    http = await client()
    offer = (await http.get(f"/widget/orders/{shop.order_id}/offer")).json()
    shirt = offer["lines"][0]
    assert (shirt["id"], shirt["most"], shirt["why_not"]) == (SHIRT, 2, "")
    assert set(offer["resolutions"]) >= {"refund"}
    assert {one["code"] for one in shirt["reasons"]} >= {"size", "defective"}
    decision = (await http.post(f"/widget/orders/{shop.order_id}/decision", json=wish())).json()
    assert decision["cash"] == {"amount": 5_000, "currency": "ILS", "exponent": 2}
    assert decision["refused"] == []
    asked = {"client_id": str(uuid4()), "wish": wish(), "digest": decision["digest"]}
    made = [await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked) for _ in range(2)]
    assert [one.status_code for one in made] == [200, 200]
    assert made[0].json() == made[1].json(), "confirmed twice, made once"
    public_id = made[0].json()["id"]
    found = (await http.get(f"/widget/returns/{public_id}")).json()
    assert (found["number"], found["state"]) == ("R-1001", "approved")
    assert [step["state"] for step in found["steps"]] == ["requested", "approved"]
    assert "cancel" in found["may"]
    listed = (await http.get(f"/widget/orders/{shop.order_id}")).json()
    assert [one["id"] for one in listed["returns"]] == [public_id]
    gone = (await http.post(f"/widget/returns/{public_id}/cancel", json={})).json()
    again = await http.post(f"/widget/returns/{public_id}/cancel", json={})
    assert (gone["state"], gone["may"]) == ("cancelled", [])
    assert again.json()["state"] == "cancelled"
    async with shop.app.db.transaction(shop.workspace) as tx:
        request = (await tx.scalars(select(ReturnRequest))).one()
    await shop.move(request, "reopen")
    steps = (await http.get(f"/widget/returns/{public_id}")).json()["steps"]
    assert [step["state"] for step in steps][2:] == ["cancelled", "again"]


async def test_an_exchange_says_what_comes_back_besides(shop: Shop, client: Client) -> None:
    http = await client()
    request = await shop.submit()
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(update(ReturnRequest).values(resolution="exchange"))
    found = (await http.get(f"/widget/returns/{request.public_id}")).json()
    assert (found["resolution"], found["cash"]["amount"]) == ("You get back", 5_000)


async def test_nothing_is_called_off_while_its_money_is_on_its_way(shop: Shop, client: Client) -> None:
    """A shopper who presses at once what is paid at once: the button is not there, and a late press is told why."""
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    http = await client()
    request = await shop.submit()
    found = (await http.get(f"/widget/returns/{request.public_id}")).json()
    assert found["state"] == "approved"
    assert not {"cancel", "change"} & set(found["may"])
    late = await http.post(f"/widget/returns/{request.public_id}/cancel", json={})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "money_under_way")
    await shop.work()
    late = await http.post(f"/widget/returns/{request.public_id}/cancel", json={})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "moved_on")
    assert (await shop.request(request)).paid == 5_000


async def test_nobody_is_asked_for_the_parcel_of_goods_that_they_keep(shop: Shop, client: Client) -> None:
    await shop.policy(Policy(automatic=True, keep_below=(ils(10_000),), pay_when=PayWhen.INSPECTED))
    http = await client()
    request = await shop.submit()
    found = (await http.get(f"/widget/returns/{request.public_id}")).json()
    assert (found["state"], found["keep"]) == ("approved", True)
    assert "ship" not in found["may"]


async def test_an_order_shows_no_total_under_fewer_goods_than_it_is_of(shop: Shop, client: Client) -> None:
    http = await client()
    address = f"/widget/orders/{shop.order_id}"
    line = OrderLine(order_id=shop.order_id, external_id=SHIRT, store_id=shop.store.id, version=datetime.now(UTC),
                     position=0, title="Linen shirt", quantity=2)  # fmt: skip
    async with shop.app.db.transaction(shop.workspace) as tx:
        tx.add(line)
    whole = (await http.get(address)).json()
    assert whole["total"]["amount"] > 0
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(update(OrderLine).where(OrderLine.external_id == SHIRT).values(refunded_quantity=1))
    left = (await http.get(address)).json()
    assert [one["quantity"] for one in left["lines"]] == [1]
    assert left["total"] is None
    (listed,) = (await http.get("/widget/orders")).json()["orders"]
    assert (listed["items"], listed["total"]) == (1, None)


async def test_an_order_is_told_with_what_it_comes_to_now_in_the_list_too(shop: Shop, client: Client) -> None:
    """Two shirts of 50.00, a mug of 20.00: a shirt went back."""
    http = await client()
    async with shop.app.db.transaction(shop.workspace) as tx:
        for place, (id, count, back) in enumerate([(SHIRT, 2, 1), (MUG, 1, 0)]):
            tx.add(OrderLine(order_id=shop.order_id, external_id=id, store_id=shop.store.id, version=datetime.now(UTC),
                             position=place, title=id, quantity=count, refunded_quantity=back))  # fmt: skip
        await tx.execute(update(Order).where(Order.id == shop.order_id).values(current_total=7_000))

    async def told() -> list[tuple[int, int]]:
        (listed,) = (await http.get("/widget/orders")).json()["orders"]
        whole = (await http.get(f"/widget/orders/{shop.order_id}")).json()
        return [(one["items"], one["total"]["amount"]) for one in (listed, whole)]

    assert await told() == [(2, 7_000)] * 2
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(update(OrderLine).values(refunded_quantity=OrderLine.quantity))
        await tx.execute(update(Order).values(current_total=0, payment_status="refunded"))
    assert await told() == [(3, 12_000)] * 2, "what ended is shown as it was"
    whole = (await http.get(f"/widget/orders/{shop.order_id}")).json()
    assert [one["quantity"] for one in whole["lines"]] == [2, 1]


async def test_the_links_to_papers_live_as_long_as_the_page_that_shows_them(shop: Shop, client: Client) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    upload = attachments.read("label.pdf", b"%PDF-1.4\n%label")
    async with shop.app.db.transaction(shop.workspace) as tx:
        file = await attachments.save(tx, upload, uploader=shop.agent.actor, store_id=shop.store.id)
    await shop.move(request, "label", file=UUID(file["id"]))
    found = (await (await client()).get(f"/widget/returns/{request.public_id}")).json()
    claims = shop.app.vault.verify("file", found["label"].partition("/files/")[2])
    assert claims is not None
    assert claims["a"] == file["id"]
    assert session.SECONDS - 60 < claims["exp"] - time.time() <= session.SECONDS


async def test_the_shops_question_is_answered_here(shop: Shop, client: Client) -> None:
    await shop.policy(Policy(automatic=False))
    http = await client()
    request = await shop.submit()
    await shop.move(request, "ask", note="Which size did you get?")
    found = (await http.get(f"/widget/returns/{request.public_id}")).json()
    assert (found["state"], found["note"], found["may"]) == (
        "asked",
        "Which size did you get?",
        ["cancel", "answer", "change"],
    )
    empty = await http.post(f"/widget/returns/{request.public_id}/answer", json={})
    assert (empty.status_code, empty.json()["error"]["code"]) == (400, "answer_empty")
    said = await http.post(f"/widget/returns/{request.public_id}/answer", json={"words": "M"})
    assert said.json()["state"] == "requested"


async def test_why_it_was_declined_is_on_its_page(shop: Shop, client: Client) -> None:
    await shop.policy(Policy(automatic=False))
    http = await client(locale="he")
    request = await shop.move(await shop.submit(), "decline", why="too_late")
    found = (await http.get(f"/widget/returns/{request.public_id}")).json()
    assert (found["state"], found["note"]) == ("declined", "")
    assert found["why"] == shop.app.catalogues.translator("he").gettext("The time for sending them back is over.")
    assert found["why"] != "The time for sending them back is over."


async def test_sent_is_said_once(shop: Shop, client: Client) -> None:
    http = await client()
    request = await shop.submit()
    for _ in range(2):
        sent = await http.post(f"/widget/returns/{request.public_id}/sent", json={"carrier": "UPS", "number": "1Z 9"})
        assert (sent.status_code, sent.json()["state"]) == (200, "in_transit")
    assert (await shop.events(request)).count("in_transit") == 1


@pytest.mark.parametrize("who", ["stranger", "ended"])
async def test_without_proof_every_address_is_as_if_it_were_not_there(shop: Shop, client: Client, who: str) -> None:
    request = await shop.submit()
    http = await client(proven=who == "ended", ended=who == "ended")
    asked = {"client_id": str(uuid4()), "wish": wish(), "digest": "0" * 32}
    calls: list[tuple[str, str, Any]] = [
        ("GET", "orders/{id}", None), ("GET", "orders/{id}/offer", None), ("POST", "orders/{id}/decision", wish()),
        ("POST", "orders/{id}/returns", asked), ("GET", "returns/{return}", None),
        ("POST", "returns/{return}/cancel", {}),
        ("POST", "returns/{return}/answer", {"words": "x"}), ("POST", "returns/{return}/sent", {}),
        ("POST", "orders/{id}/problem", {"client_id": str(uuid4()), "kind": "other", "words": "x"}),
    ]  # fmt: skip
    for method, path, body in calls:
        said = []
        for order, back in ((shop.order_id, request.public_id), (uuid4(), "nothing-like-that")):
            address = "/widget/" + path.replace("{id}", str(order)).replace("{return}", back)
            answer = await http.request(method, address, json=body)
            said.append((answer.status_code, {**answer.json()["error"], "request_id": ""}))
        assert said[0] == said[1], path
        assert said[0][0] == 404
        assert said[0][1]["code"] == "order_unproven"
    assert (await shop.request(request)).state == "approved"


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"quantity": 0}, "quantity"), ({"quantity": -1}, "quantity"), ({"quantity": 3}, "quantity"),
        ({"quantity": 1_000_000}, "quantity"), ({"line": "gid://line/of-another"}, "unknown_line"),
        ({"reason": "because"}, "unknown_reason"), ({"reason": "size"}, "unknown_reason"),
        ({"reason": "defective"}, "photo_needed"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_said_and_never_made(
    shop: Shop, client: Client, item: dict[str, Any], code: str
) -> None:
    http = await client()
    decided = await http.post(f"/widget/orders/{shop.order_id}/decision", json=wish(item))
    refused = decided.json()["refused"]
    assert len(refused) == 1, code
    assert refused[0]["words"].endswith(".")
    asked = {"client_id": str(uuid4()), "wish": wish(item), "digest": decided.json()["digest"]}
    made = await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked)
    assert (made.status_code, made.json()["error"]["code"]) == (400, "return_refused")
    assert await count(shop) == 0


@pytest.mark.parametrize("quantity", [1.5, "1", None, 10**30])
async def test_a_quantity_that_is_no_whole_number_cannot_be_read(shop: Shop, client: Client, quantity: Any) -> None:
    http = await client()
    answer = await http.post(f"/widget/orders/{shop.order_id}/decision", json=wish({"quantity": quantity}))
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert answer.json()["refused"]


async def test_one_line_in_parts_is_no_way_around_its_quantity(shop: Shop, client: Client) -> None:
    http = await client()
    twice = wish({"quantity": 2}, {"quantity": 1, "reason": "too_large"})
    assert (await http.post(f"/widget/orders/{shop.order_id}/decision", json=twice)).json()["refused"]


async def test_other_amounts_than_were_shown_are_not_confirmed(shop: Shop, client: Client) -> None:
    http = await client()
    asked = {"client_id": str(uuid4()), "wish": wish(), "digest": "0" * 32}
    made = await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked)
    assert (made.status_code, made.json()["error"]["code"]) == (409, "decision_changed")
    assert await count(shop) == 0


async def test_a_photo_of_the_shoppers_own_comes_along_and_nothing_else(shop: Shop, client: Client) -> None:
    http, other = await client(), await client()

    async def upload(by: httpx.AsyncClient, name: str, content: bytes) -> httpx.Response:
        return await by.post("/widget/attachments", files={"file": (name, content)})

    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00" * 64
    taken = [
        (await upload(http, name, data)) for name, data in (("a.svg", svg), ("b.heic", heic), ("c.jpg", b"%PDF-1.7\n"))
    ]
    foreign = (await upload(other, "d.jpg", photo())).json()["id"]
    tried = [one.json()["id"] for one in taken if one.status_code == 200]
    for bad in (*tried, foreign, str(uuid4())):
        wanted = wish({"line": MUG, "reason": "defective", "photos": [bad]})
        decided = (await http.post(f"/widget/orders/{shop.order_id}/decision", json=wanted)).json()
        asked = {"client_id": str(uuid4()), "wish": wanted, "digest": decided["digest"]}
        made = await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked)
        assert made.json()["error"]["code"] in ("photo_kind", "file_missing")
    assert await count(shop) == 0
    # As an iPhone's camera films.
    film = (await upload(http, "e.mov", b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  " + b"\x00" * 64)).json()["id"]
    good = (await upload(http, "e.jpg", photo())).json()["id"]
    wanted = wish({"line": MUG, "reason": "defective", "photos": [good, film]})
    decided = (await http.post(f"/widget/orders/{shop.order_id}/decision", json=wanted)).json()
    asked = {"client_id": str(uuid4()), "wish": wanted, "digest": decided["digest"]}
    assert (await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked)).status_code == 200
    async with shop.app.db.transaction(shop.workspace) as tx:
        assert (await tx.scalars(select(ReturnRequest.photos))).one() == [good, film]


async def test_a_store_that_does_not_answer_is_said_in_words(
    shop: Shop, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise PlatformError("503 from the store with secrets", retry=True)

    monkeypatch.setattr(shop.desk, "returnable", away)
    answer = await (await client()).get(f"/widget/orders/{shop.order_id}/offer")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_away")
    assert "secrets" not in answer.text


async def test_an_order_without_address_is_told_of_in_the_chat(shop: Shop, client: Client) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(update(Order).values(email=""))
    http = await client()
    decided = (await http.post(f"/widget/orders/{shop.order_id}/decision", json=wish())).json()
    asked = {"client_id": str(uuid4()), "wish": wish(), "digest": decided["digest"]}
    await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked)
    await shop.work()
    told = (await http.get("/widget/messages")).json()["messages"]
    assert any("R-1001" in one["text"] for one in told)


async def test_words_come_in_the_readers_language(shop: Shop, client: Client) -> None:
    http = await client()
    said = {code: (await http.get(f"/widget/orders/words?locale={code}")).json() for code in ("en", "ar", "he")}
    assert set(said["en"]) == set(said["ar"]) == set(said["he"])
    assert said["ar"]["o.return"] != said["en"]["o.return"] != said["he"]["o.return"]


async def count(shop: Shop) -> int:
    async with shop.app.db.transaction(shop.workspace) as tx:
        return int(await tx.scalar(select(func.count()).select_from(ReturnRequest)))


async def test_nobody_exchanges_for_a_trifle_to_get_the_rest_as_money(shop: Shop, client: Client) -> None:
    await shop.policy(Policy(terms=Terms(days={Resolution.EXCHANGE: 30}), rules=()))
    async with shop.app.db.transaction(shop.workspace) as tx:
        for product, variant, price in (("p1", "v1-l", 5_000), ("p9", "sticker", 1)):
            its = Product(
                id=new_id(), store_id=shop.store.id, external_id=product, version=func.now(), title=product,
                status="active",
            )  # fmt: skip
            tx.add(its)
            await tx.flush()
            tx.add(
                Variant(
                    id=new_id(), store_id=shop.store.id, external_id=variant, version=func.now(), product_id=its.id,
                    title=variant, price=price, currency="ILS",
                )
            )  # fmt: skip
    http = await client()

    async def decide(*items: dict[str, Any]) -> dict[str, Any]:
        asked = wish(*items, resolution="exchange")
        answer = await http.post(f"/widget/orders/{shop.order_id}/decision", json=asked)
        return dict(answer.json())

    fair = await decide({"instead": "v1-l"})
    assert (fair["refused"], fair["cash"]) == ([], None)
    for unfair in (
        [{"instead": "sticker"}],
        [{"instead": "v1-l"}, {"line": MUG}],
        [{"instead": "v1-l"}, {"line": MUG, "instead": "sticker"}],
    ):
        decided = await decide(*unfair)
        words = "It can only be exchanged for something that costs as much, or more."
        assert [one["words"] for one in decided["refused"]] == [words], unfair
        asked = {"client_id": str(uuid4()), "wish": wish(*unfair, resolution="exchange"), "digest": decided["digest"]}
        made = await http.post(f"/widget/orders/{shop.order_id}/returns", json=asked)
        assert made.json()["error"]["code"] == "return_refused"
    dearer = await decide({"line": MUG, "instead": "v1-l"})
    assert (dearer["refused"], dearer["owed"]["amount"]) == ([], 3_000)


async def test_a_difference_is_asked_for_until_the_store_says_that_it_is_paid(shop: Shop, client: Client) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        its = Product(id=new_id(), store_id=shop.store.id, external_id="p1", version=func.now(), title="p1",
                      status="active")  # fmt: skip
        tx.add(its)
        await tx.flush()
        tx.add(Variant(id=new_id(), store_id=shop.store.id, external_id="v1-l", version=func.now(), product_id=its.id,
                       title="L", price=5_000, currency="ILS"))  # fmt: skip
    http = await client()
    asked = wish({"line": MUG, "instead": "v1-l"}, resolution="exchange")
    decided = (await http.post(f"/widget/orders/{shop.order_id}/decision", json=asked)).json()
    told = {"client_id": str(uuid4()), "wish": asked, "digest": decided["digest"]}
    made = (await http.post(f"/widget/orders/{shop.order_id}/returns", json=told)).json()
    before = (await http.get(f"/widget/returns/{made['id']}")).json()
    assert ("pay" in before["may"], before["owed"]["amount"]) == (False, 3_000), "it is known before it can be paid"
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(
            update(ReturnRequest).where(ReturnRequest.public_id == made["id"])
            .values(sent_at=func.now(), sent_external_id="77")
        )  # fmt: skip

    async def asks() -> bool:
        return "pay" in (await http.get(f"/widget/returns/{made['id']}")).json()["may"]

    shop.desk.owing = "https://shop.example/pay"
    assert await asks()
    shop.desk.owing = PlatformError("away", retry=True)
    assert await asks(), "a store that does not answer has not been paid"
    away = await http.post(f"/widget/returns/{made['id']}/pay", json={})
    assert (away.status_code, away.json()["error"]["code"]) == (503, "store_away")
    shop.desk.owing = ""
    assert not await asks()
    assert (await http.get(f"/widget/returns/{made['id']}")).json()["owed"] is None, "and paid it is no more"


async def closed(shop: Shop, *doors: Door) -> None:
    """The merchant keeps these to the shop."""
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await tx.get(Store, shop.store.id)
        assert store is not None
        await self_service.save(tx, store, Rules(**{door.value: door not in doors for door in Door}), by=None)


async def test_returns_that_a_shop_keeps_to_itself_are_not_begun_and_those_under_way_go_on(
    shop: Shop, client: Client
) -> None:
    http = await client()
    order = f"/widget/orders/{shop.order_id}"
    digest = (await http.post(f"{order}/decision", json=wish())).json()["digest"]
    confirmed = {"client_id": str(uuid4()), "wish": wish(), "digest": digest}
    made = (await http.post(f"{order}/returns", json=confirmed)).json()
    await closed(shop, Door.RETURNS)
    assert (await http.get(order)).json()["may"] == []
    for answer in (
        await http.get(f"{order}/offer"), await http.post(f"{order}/decision", json=wish()),
        await http.post(f"{order}/returns", json=confirmed | {"client_id": str(uuid4())}),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "self_closed")
        assert answer.json()["error"]["message"] == "This shop arranges returns itself."
    assert (await http.get(f"/widget/returns/{made['id']}")).json()["may"]
    assert (await http.post(f"/widget/returns/{made['id']}/cancel")).json()["state"] == "cancelled"


async def test_orders_and_claims_are_kept_back_each_by_itself(shop: Shop, client: Client) -> None:
    http = await client()
    order = f"/widget/orders/{shop.order_id}"
    whole = (await http.get(order)).json()
    assert whole["steps"]
    assert whole["where"]
    assert whole["problems"]
    await closed(shop, Door.ORDERS)
    bare = (await http.get(order)).json()
    assert (bare["steps"], bare["where"], bare["parcels"], bare["url"], bare["alone"]) == (
        [], "", [], "", {"again": False, "doings": []},
    )  # fmt: skip
    assert bare["lines"] == whole["lines"]
    assert bare["may"] == ["return"]
    assert (await http.get(f"{order}/offer")).status_code == 200
    assert (await http.get(f"{order}/again")).status_code in (403, 404)
    await closed(shop, Door.CLAIMS)
    assert (await http.get(order)).json()["problems"] == []
    said = await http.post(f"{order}/problem", json={"client_id": str(uuid4()), "kind": "other", "words": "Broken"})
    assert said.json()["error"]["message"] == "This shop looks into problems with an order itself."


@pytest.mark.parametrize(("locale", "words"), [("en", "looks after"), ("ar", "يتولّى"), ("he", "מטפלת")])
async def test_a_shop_that_keeps_all_to_itself_says_so_and_shows_no_door(
    shop: Shop, client: Client, locale: str, words: str
) -> None:
    http = await client(locale=locale)
    t = shop.app.catalogues.translator(locale)
    every = await doors.orders(shop.app, shop.store, t)
    assert every is not None
    await closed(shop, Door.RETURNS)
    some = await doors.orders(shop.app, shop.store, t)
    assert some is not None
    assert some["label"] != every["label"]
    await closed(shop, *Door)
    assert await doors.orders(shop.app, shop.store, t) is None
    for answer in (
        await http.get("/widget/orders"), await http.get(f"/widget/orders/{shop.order_id}"),
        await http.post("/widget/orders/find", json={"number": "1001", "contact": "a@example.com"}),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "self_closed")
    told = (await http.get("/widget/orders", headers={"accept-language": locale})).json()["error"]
    assert words in told["message"]
    assert told["what_to_do"]
