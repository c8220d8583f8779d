"""A request for an order without a proof, above its thread: who sees the number, who may say yes, what goes back."""

import asyncio
import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin.app import App
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm.orders import Order
from plugin.returns import calls, claims, proof
from plugin.returns.proof import OrderProof
from plugin.stores import Store
from plugin.team import AuditEntry
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_work import at

ON_ORDER, TYPED = "+966501112233", "+966509999999"


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def shopper_of(app: App, shop: Shop, name: str = "visitor") -> Shopper:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks[name])
    assert talk is not None
    assert talk.visitor_id is not None
    assert talk.store_id is not None
    return Shopper(talk.visitor_id, talk.store_id, talk.customer_id, locale="en")


async def asked(app: App, shop: Shop, name: str = "visitor", number: str = "1042") -> UUID:
    """The shopper of this conversation asks for an order that has a phone number; returns the request."""
    shopper = await shopper_of(app, shop, name)
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(update(Order).where(Order.name == "#1042").values(phone=ON_ORDER))
        store = await tx.get(Store, shopper.store_id)
        assert store is not None
        await claims.call_back(
            tx, shopper, uuid4(), store, number=number, phone=TYPED, text="It is too small",
            words=app.catalogues.translator("en"), catalogues=app.catalogues,
        )  # fmt: skip
        return (await calls.of_conversation(tx, shop.talks[name]))[0].id


async def order(app: App, shop: Shop, name: str = "#1042") -> UUID:
    async with app.db.transaction(shop.workspace_id) as tx:
        return (await tx.scalars(select(Order.id).where(Order.name == name))).one()


async def seen(app: App, shop: Shop, name: str = "visitor") -> list[UUID]:
    shopper = await shopper_of(app, shop, name)
    async with app.db.transaction(shop.workspace_id) as tx:
        return [view.order.id for view in await proof.theirs(tx, Shopper(shopper.visitor_id, shopper.store_id, None))]


async def test_the_number_to_call_is_the_orders_and_a_yes_opens_it(app: App, shop: Shop, maya: Browser) -> None:
    call, wanted = await asked(app, shop), await order(app, shop)
    assert f'hx-get="{at(shop, "visitor", "/calls")}"' in (await maya.get(f"/panel/inbox/{shop.talks['visitor']}")).text
    shown = (await maya.get(at(shop, "visitor", "/calls"))).text
    assert f'href="tel:{ON_ORDER}"' in shown
    assert TYPED not in shown
    assert "#1042" in shown
    path = at(shop, "visitor", f"/calls/{call}")
    form = {"order": str(wanted), "phone": ON_ORDER}
    both = await asyncio.gather(*(maya.post(f"{path}/confirm", data=form) for _ in range(2)))
    assert [answer.status_code for answer in both] == [200, 200]
    assert all("is open to this shopper until" in answer.text for answer in both)
    assert await seen(app, shop) == [wanted]
    async with app.db.transaction(shop.workspace_id) as tx:
        said = [message.text for message in await messages.thread(tx, shop.talks["visitor"])]
    assert [words.startswith("Thank you for the call.") for words in said].count(True) == 1
    assert "Order opened to a shopper after a call" in (await maya.get("/panel/team/log")).text
    back = await maya.post(f"{path}/undo")
    assert "Confirmed by phone" in back.text
    assert await seen(app, shop) == []


async def test_not_them_says_nothing_and_can_be_taken_back(app: App, shop: Shop, maya: Browser) -> None:
    call, wanted = await asked(app, shop), await order(app, shop)
    path = at(shop, "visitor", f"/calls/{call}")
    done = await maya.post(f"{path}/decline")
    assert done.text.strip() == ""
    assert json.loads(done.headers["hx-trigger"])["ahlan:toast"]["action"] == f"{path}/undo"
    late = await maya.post(f"{path}/confirm", data={"order": str(wanted), "phone": ON_ORDER})
    assert late.status_code == 409
    assert await seen(app, shop) == []
    assert "Confirmed by phone" in (await maya.post(f"{path}/undo")).text


async def test_whoever_may_not_reply_sees_no_number_and_opens_nothing(app: App, shop: Shop, sign_in: SignIn) -> None:
    call, wanted = await asked(app, shop), await order(app, shop)
    light = await sign_in(shop.colleagues["lior"].email or "")
    assert 'id="calls"' not in (await light.get(f"/panel/inbox/{shop.talks['visitor']}")).text
    shown = await light.get(at(shop, "visitor", "/calls"))
    assert (shown.status_code, shown.text.strip()) == (200, "")
    path = at(shop, "visitor", f"/calls/{call}")
    for what in ("confirm", "decline", "undo"):
        refused = await light.post(f"{path}/{what}", data={"order": str(wanted), "phone": ON_ORDER})
        assert refused.status_code == 403, what
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.post(f"{path}/confirm", data={"order": str(wanted), "phone": ON_ORDER})).status_code == 200
    assert await seen(app, shop) == [wanted]


async def test_another_shoppers_and_another_workspaces_request_is_not_found(
    app: App, shop: Shop, maya: Browser, empty_shop: Shop, sign_in: SignIn
) -> None:
    call, wanted, other = await asked(app, shop), await order(app, shop), await order(app, shop, "#1051")
    stranger = await sign_in(empty_shop.email)
    own = at(shop, "visitor", f"/calls/{call}")
    form = {"order": str(wanted), "phone": ON_ORDER}
    assert (await stranger.get(at(shop, "visitor", "/calls"))).status_code == 404
    for browser, path in (
        (stranger, own), (maya, at(shop, "emma", f"/calls/{call}")), (maya, at(shop, "visitor", f"/calls/{uuid4()}")),
        (maya, at(shop, "visitor", "/calls/none")),
    ):  # fmt: skip
        for what in ("confirm", "decline", "undo"):
            assert (await browser.post(f"{path}/{what}", data=form)).status_code == 404, path
    wrong = await maya.post(f"{own}/confirm", data={**form, "order": str(other)})
    assert wrong.status_code == 404, "an order that was not asked for"
    wrong = await maya.post(f"{own}/confirm", data={**form, "phone": TYPED})
    assert wrong.status_code == 409, "a number that is not the order's"
    assert await seen(app, shop) == []
    assert await seen(app, shop, "emma") == []
    async with app.db.transaction(shop.workspace_id) as tx:
        assert (await tx.scalars(select(OrderProof.proved_at))).all() == [None]
        assert (await tx.scalars(select(AuditEntry.id).where(AuditEntry.kind.like("orders.call%")))).all() == []


async def test_a_number_that_no_order_has_is_said_to_the_team_alone(app: App, shop: Shop, maya: Browser) -> None:
    await asked(app, shop, number="9999")
    shown = (await maya.get(at(shop, "visitor", "/calls"))).text
    assert "No order of this store has this number." in shown
    assert "Confirmed by phone" not in shown
