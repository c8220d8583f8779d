"""Return shipping over HTTP: settings, places, a label looked at and bought; and a return that an agent changes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from integrations.easypost.carrier import EasyPost
from integrations.easypost.simulator import KEY, Simulator
from plugin.app import App
from plugin.crm.orders import Order
from plugin.crm.products import Product, Variant
from plugin.kernel.db import new_id
from plugin.kernel.http import Http
from plugin.returns import labels, shipping
from plugin.returns.policy import Condition, Policy, Resolution, Terms
from plugin.returns.states import State
from tests.admin_ui.conftest import Browser
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_returns import HX, bare, moved
from tests.admin_ui.test_returns import maya as maya
from tests.admin_ui.test_returns import till as till
from tests.returns.desk import MUG, SHIRT, want
from tests.returns.desk import Shop as Till

FORM = {
    "carrier": "easypost", "key": KEY, "company": "Dukkan", "line1": "1 Store Road", "city": "Riyadh", "country": "sa",
    "grams": "1200", "method:label": "1", "countries:label": "IL، sa", "method:store": "1",
}  # fmt: skip


@pytest.fixture
async def easypost(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """The carrier that the settings name."""
    simulator = Simulator()
    http = Http(transport=httpx.ASGITransport(simulator))
    monkeypatch.setitem(app.carriers, "easypost", EasyPost(http))
    yield simulator
    await http.close()


async def test_settings_are_kept_the_key_is_not_shown_and_news_are_subscribed_to(
    till: Till, maya: Browser, easypost: Simulator
) -> None:
    page = f"/panel/settings/shipping/{till.store.id}"
    assert str(till.store.id) in (await maya.get("/panel/settings/returns")).text
    assert (await maya.post(page, data=FORM, headers=HX)).status_code == 204
    shown = (await maya.get(page)).text
    assert "1 Store Road" in shown
    assert 'value="IL SA"' in shown
    assert KEY not in shown
    hooks = list(easypost.account().webhooks.values())
    assert len(hooks) == 1
    assert re.search(r"/webhooks/easypost/[\w-]{20,}$", hooks[0]["url"])
    assert hooks[0]["secret"] not in shown
    assert (await maya.post(page, data={**FORM, "key": ""}, headers=HX)).status_code == 204, "empty keeps it"
    assert len(easypost.account().webhooks) == 1
    async with till.app.db.transaction(till.workspace) as tx:
        assert await shipping.offered(tx, till.store.id, "IL") == [shipping.Method.LABEL]
        assert await shipping.offered(tx, till.store.id, "DE") == []


@pytest.mark.parametrize(("field", "value"), [
    ("key", "nonsense"), ("country", "Saudi"), ("line1", ""), ("grams", "-5"), ("grams", "1e9"), ("length", "99999"),
    ("countries:label", "everywhere"), ("email", "nobody"), ("carrier", "pigeon"),
])  # fmt: skip
async def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_kept(
    till: Till, maya: Browser, easypost: Simulator, field: str, value: str
) -> None:
    page = f"/panel/settings/shipping/{till.store.id}"
    answer = await maya.post(page, data={**FORM, field: value}, headers=HX)
    assert answer.status_code == 422
    async with till.app.db.transaction(till.workspace) as tx:
        assert await shipping.of_store(tx, till.store.id) is None


async def test_places_are_found_on_the_map_changed_and_removed(till: Till, maya: Browser, easypost: Simulator) -> None:
    page = f"/panel/settings/shipping/{till.store.id}"
    await maya.post(page, data=FORM, headers=HX)
    form = {"kind": "store", "name": "Olaya <b>", "line1": "12 Olaya", "city": "Riyadh", "country": "sa"}
    assert (await maya.post(f"{page}/places", data={**form, "hours": "9-17\n\n10-14"}, headers=HX)).status_code == 204
    async with till.app.db.transaction(till.workspace) as tx:
        (place,) = await shipping.places_of(tx, till.store.id)
    assert place.where is not None
    assert place.hours == "9-17\n10-14"
    assert "<b>" not in (await maya.get(page)).text.replace("&lt;b&gt;", "")
    changed = await maya.post(f"{page}/places", data={**form, "place": str(place.id), "name": "Olaya"}, headers=HX)
    assert changed.status_code == 204
    assert (await maya.post(f"{page}/places", data={"kind": "x"}, headers=HX)).status_code == 422
    assert (await maya.post(f"{page}/places/{place.id}/delete", headers=HX)).status_code == 204
    async with till.app.db.transaction(till.workspace) as tx:
        assert await shipping.places_of(tx, till.store.id) == []


async def test_a_label_is_shown_with_its_price_and_bought_as_it_was_shown(
    till: Till, maya: Browser, easypost: Simulator
) -> None:
    await maya.post(f"/panel/settings/shipping/{till.store.id}", data=FORM, headers=HX)
    async with till.app.db.transaction(till.workspace) as tx:
        order = await tx.get(Order, till.order_id)
        assert order is not None
        order.shipping_address = {"name": "Layla", "line1": "5 Palm", "city": "Haifa", "country": "IL", "province": ""}
    request = await till.submit(want((SHIRT, 1)))
    assert await moved(maya, request, "approve") == 204
    assert "Buy a label" in (await maya.get(f"/panel/returns/{request.id}")).text
    dialog = bare((await maya.get(f"/panel/returns/{request.id}/label")).text)
    price = re.search(r"Buy for \$([\d.]+)", dialog)
    assert price is not None
    cents = round(float(price[1]) * 100)
    assert easypost.account().ledger == [], "looking costs nothing"
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', dialog))
    other = await till.submit(want((MUG, 1)))
    assert await moved(maya, other, "approve") == 204
    for id, made in (
        (other.id, form), (request.id, {}), (request.id, {"offer": f"{form['offer']}x"}),
        (request.id, {"parcel": "../webhooks", "rate": "r", "amount": "1", "exponent": "2", "currency": "USD"}),
    ):  # fmt: skip
        answer = await maya.post(f"/panel/returns/{id}/label", data=made, headers=HX)
        assert answer.status_code == 409, "only what was shown for this return"
    assert (await maya.post(f"/panel/returns/{request.id}/label", data=form, headers=HX)).status_code == 204
    assert (await maya.post(f"/panel/returns/{request.id}/label", data=form, headers=HX)).status_code == 409
    till.app = replace(till.app, carriers={"easypost": _of(easypost)})
    await till.work("buy_label")
    found = await till.request(request)
    assert (State(found.state), found.label_cost) == (State.SENT, cents)
    page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
    assert "With the customer" in page
    assert f"Labels: ${cents / 100:.2f}" in page
    async with till.app.db.transaction(till.workspace) as tx:
        label = (await labels.of_request(tx, request.id))[0]
    easypost.refunds = "refunded"
    for how, status in (("burn", 404), ("void", 204)):
        answer = await maya.post(f"/panel/returns/{request.id}/labels/{label.id}/{how}", headers=HX)
        assert answer.status_code == status
    await till.work("void_label")
    assert (await till.request(request)).label_cost is None


def _of(simulator: Simulator) -> Any:
    return EasyPost(Http(transport=httpx.ASGITransport(simulator)))


async def test_conditions_are_named_and_an_exchange_is_begun_for_the_customer(
    till: Till, maya: Browser, shop: Shop
) -> None:
    terms = Terms(days=dict.fromkeys(Resolution, 30), conditions=(
        Condition("unopened"), Condition("own", words={"en": "The seal is whole"}),
    ))  # fmt: skip
    await till.policy(Policy(automatic=False, terms=terms))
    async with till.app.db.transaction(till.workspace) as tx:
        product = Product(id=new_id(), store_id=till.store.id, external_id="p-scarf", version=datetime.now(UTC),
                          title="Wool scarf", status="active")  # fmt: skip
        tx.add(product)
        await tx.flush()
        tx.add(Variant(id=new_id(), store_id=till.store.id, external_id="v-scarf", version=datetime.now(UTC),
                       product_id=product.id, title="Red", price=8_000, currency="ILS", stock=2))  # fmt: skip
    path = f"/panel/orders/{till.order_id}/returns"
    page = (await maya.get(f"{path}/new")).text
    assert "It is unopened" in page
    assert "The seal is whole" in page
    form = {f"line:{SHIRT}": "1", f"reason:{SHIRT}": "changed_mind", f"kept:{SHIRT}": ["unopened", "own"],
            "resolution": "exchange", "find": "scarf"}  # fmt: skip
    found = bare((await maya.post(f"{path}/preview", data=form, headers=HX)).text)
    assert "Wool scarf · Red · ₪80.00" in found
    chosen = bare((await maya.post(f"{path}/preview", data={**form, f"instead:{SHIRT}": "v-scarf"}, headers=HX)).text)
    assert "Still to pay for what they chose" in chosen
    assert "₪30.00" in chosen
    digest, client = (re.search(rf'name="{name}" value="([^"]+)"', chosen.split("return-money")[1]) for name in
                      ("digest", "client_id"))  # fmt: skip
    assert digest is not None
    assert client is not None
    made = await maya.post(path, data={**form, f"instead:{SHIRT}": "v-scarf", "digest": digest[1],
                                       "client_id": client[1]}, headers=HX)  # fmt: skip
    assert made.status_code == 204, made.text
    at = made.headers["hx-location"]
    id = re.search(r"returns/([0-9a-f-]{36})", at)
    assert id is not None
    request = await till.request(UUID(id[1]))
    assert (request.resolution, request.decided.owed.amount if request.decided.owed else 0) == ("exchange", 3_000)


async def test_an_agent_changes_a_return(till: Till, maya: Browser) -> None:
    request = await till.submit(want((SHIRT, 1)))
    assert "Change it" in (await maya.get(f"/panel/returns/{request.id}")).text
    page = bare((await maya.get(f"/panel/returns/{request.id}/change")).text)
    assert f'name="line:{SHIRT}" min="0" max="2" value="1"' in page
    form = {f"line:{SHIRT}": "2", f"reason:{SHIRT}": "changed_mind", "resolution": "credit"}
    shown = (await maya.post(f"/panel/returns/{request.id}/change/preview", data=form, headers=HX)).text
    digest = re.search(r'name="digest" value="([^"]+)"', shown)
    assert digest is not None
    done = await maya.post(f"/panel/returns/{request.id}/change", data={**form, "digest": digest[1]}, headers=HX)
    assert done.status_code == 204, done.text
    found = await till.request(request)
    assert (found.number, found.resolution, found.credit) == (request.number, "credit", 10_000)
    again = await maya.post(f"/panel/returns/{request.id}/change", data={**form, "digest": digest[1]}, headers=HX)
    assert again.status_code == 204, "it stands so already: the first answer was lost"
    other = {**form, f"line:{SHIRT}": "1", "digest": digest[1]}
    stale = await maya.post(f"/panel/returns/{request.id}/change", data=other, headers=HX)
    assert stale.status_code == 409
