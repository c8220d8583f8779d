"""Labels for returns: bought once whatever dies or is lost, their price kept, news followed, unused ones given back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from integrations.easypost.carrier import EasyPost
from integrations.easypost.simulator import KEY, Simulator
from integrations.easypost.source import EasyPostSource
from integrations.easypost.webhooks import HEADER, signature
from plugin.carrier import Movement, Parcel, Place, Stage, Wanted
from plugin.crm.orders import Order
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.http import Http
from plugin.platform import Answer, Delivery, PlatformError
from plugin.returns import labels, moves, pages, records, shipping, telling
from plugin.returns.labels import ReturnLabel
from plugin.returns.policy import Choice, ChoiceLine, Policy, Resolution
from plugin.returns.records import ReturnRequest
from plugin.returns.shipping import Method, Way, Wished
from plugin.returns.states import State, Who
from plugin.stores import Store
from tests.returns.desk import SHIRT, Killed, Shop, ils
from webhooks import inbox, parcels
from webhooks.receiver import Inbox, Receiver

WAREHOUSE = Place(company="Dukkan", line1="1 Store Road", city="Riyadh", postcode="11564", country="SA")
TASKS = ("buy_label", "want_label", "drop_label", "void_label")


@dataclass
class Depot:
    """A shop that buys labels at a carrier who may have a bad day."""

    shop: Shop
    easypost: Simulator
    carrier: Any

    async def approved(self, method: Method = Method.LABEL, **way: Any) -> ReturnRequest:
        return await self.shop.submit(way=Way(method, **way))

    async def work(self) -> None:
        await self.shop.work(*TASKS)

    async def hurry(self, task: str = "buy_label") -> None:
        await self.shop.hurry(task)
        await self.work()

    async def label(self, request: ReturnRequest) -> ReturnLabel:
        async with self.shop.app.db.transaction(self.shop.workspace) as tx:
            return (await labels.of_request(tx, request.id))[0]

    async def state(self, request: ReturnRequest) -> State:
        return State((await self.shop.request(request)).state)

    @property
    def sold(self) -> list[str]:
        return [amount for _id, amount in self.easypost.account().ledger]

    async def told(self, status: str, tracking: str, *, at: datetime | None = None) -> bytes:
        """Posted as EasyPost posts it, through the receiver and the inbox; the body for a second time."""
        found = self.easypost.news(tracking, status, at=at)
        assert found is not None
        return found[1]


@pytest.fixture
async def depot(shop: Shop) -> AsyncIterator[Depot]:
    easypost = Simulator()
    http = Http(transport=httpx.ASGITransport(easypost))
    carrier = EasyPost(http)
    shop.app = replace(shop.app, carriers={"easypost": carrier})
    await settings(shop, {method.value: () for method in Method})
    yield Depot(shop, easypost, carrier)
    await http.close()


async def settings(shop: Shop, methods: dict[str, Any], *, automatic: bool = True, **more: Any) -> None:
    wished = Wished("easypost", KEY, WAREHOUSE, Parcel(1200, 300, 200, 100), methods, (), automatic)
    async with shop.app.db.transaction(shop.workspace) as tx:
        await shipping.save(tx, shop.app.vault, shop.store.id, replace(wished, **more), actor="system")
        order = await tx.get(Order, shop.order_id)
        assert order is not None
        order.shipping_address = asdict(
            Place(name="Layla", line1="5 Palm Street", city="Riyadh", postcode="11564", country="SA")
        ) | {"province": ""}


async def test_a_label_is_bought_once_its_price_kept_and_the_shopper_has_it(depot: Depot) -> None:
    request = await depot.approved()
    await depot.work()
    found, label = await depot.shop.request(request), await depot.label(request)
    assert (State(found.state), label.state, found.tracking_number) == (
        State.SENT, labels.READY, label.tracking_number)  # fmt: skip
    assert depot.sold == ["7.74"], "the cheapest service"
    assert (found.label_cost, found.label_currency, found.label_exponent) == (774, "USD", 2)
    assert found.label_file is not None
    bought = next(iter(depot.easypost.account().shipments.values()))
    assert bought["is_return"]
    assert bought["to_address"]["name"] == "Layla", "EasyPost swaps the two"
    assert bought["parcel"] == {"length": 11.8, "width": 7.9, "height": 3.9, "weight": 42.3}
    await depot.shop.work("tell_return")
    assert any("attached" in said for said in await depot.shop.said(request))


async def test_a_code_needs_no_printer(depot: Depot) -> None:
    request = await depot.approved(Method.CODE)
    await depot.work()
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        found = await records.get(tx, request.id)
        kind = await tx.scalar(text("SELECT media_type FROM attachments WHERE id = :id"), {"id": found.label_file})
    assert kind == "image/png"
    await depot.shop.work("tell_return")
    said = next(one for one in await depot.shop.said(request) if "that is attached" in one)
    assert "Show the code that is attached" in said
    assert "Print" not in said


async def test_what_comes_next_is_said_by_the_way_that_was_chosen(depot: Depot) -> None:
    shop, day = depot.shop, datetime.now(UTC).date() + timedelta(days=2)
    async with shop.app.db.transaction(shop.workspace) as tx:
        form = {"kind": "point", "name": "Corner Shop", "line1": "25 Olaya Street", "city": "Riyadh", "country": "SA"}
        place = await shipping.put_place(tx, shop.store.id, None, form, None)
    on = shop.app.catalogues.translator("en").format_date(day)
    for way, words in (
        (Way(Method.LABEL), "The label for the parcel comes in a message of its own."),
        (Way(Method.CODE), "The code for the counter comes in a message of its own."),
        (Way(Method.PICKUP, on=day), f"The courier collects it on {on}. The label for the parcel comes"),
        (Way(Method.POINT, place_id=place.id), "Bring the parcel to \u2068Corner Shop\u2069."),
        (Way(Method.OWN), "We send you what you need for the parcel, unless you were told to send it yourself."),
    ):
        request = await shop.submit(way=way)
        await shop.work("tell_return")
        assert words in (await shop.said(request))[-1], way
        async with shop.app.db.transaction(shop.workspace) as tx:
            await moves.cancel(tx, await records.held(tx, request.id), by=Who.SHOPPER)
        await shop.work()


async def test_a_label_is_told_of_after_the_return_was_agreed_to(depot: Depot) -> None:
    request = await depot.approved()
    await depot.work()
    shop = depot.shop
    async with shop.app.db.queue.connect() as connection:
        late = await connection.scalar(
            text("SELECT id FROM jobs WHERE workspace_id = :w AND task = 'tell_return' ORDER BY id DESC LIMIT 1"),
            {"w": shop.workspace},
        )
    # Another worker takes the label's news while the slip of the first is still being drawn.
    await jobs.run(shop.app.db, shop.app, {"tell_return": telling.tell_return}, shop.workspace, late)
    assert await shop.said(request) == []
    await shop.work("tell_return")
    await shop.hurry("tell_return")
    await shop.work("tell_return")
    agreed, label = await shop.said(request)
    assert ("is approved" in agreed, "Print the label" in label) == (True, True)


async def test_a_letter_that_cannot_be_written_holds_nothing_back(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await depot.approved()
    await depot.work()
    monkeypatch.setattr(telling, "TURN_SECONDS", 0)
    shop = depot.shop
    async with shop.app.db.queue.begin() as connection:
        await connection.execute(
            text("DELETE FROM jobs WHERE id = (SELECT min(id::text)::uuid FROM jobs WHERE workspace_id = :w "
                 "AND task = 'tell_return' AND done_at IS NULL)"),
            {"w": shop.workspace},
        )  # fmt: skip
    await shop.work("tell_return")
    assert any("Print the label" in said for said in await shop.said(request))


async def test_a_courier_comes_on_the_day_that_was_chosen(depot: Depot) -> None:
    day = datetime.now(UTC).date() + timedelta(days=2)
    request = await depot.approved(Method.PICKUP, on=day)
    await depot.work()
    label = await depot.label(request)
    booked = next(iter(depot.easypost.account().pickups.values()))
    assert (label.pickup_state, label.confirmation) == (labels.BOOKED, booked["confirmation"])
    assert booked["min_datetime"].startswith(f"{day}T09:00:00+03:00"), "in the store's own time"
    await depot.shop.work("tell_return")
    said = next(one for one in await depot.shop.said(request) if "that is attached" in one)
    words = depot.shop.app.catalogues.translator("en")
    assert f"The courier collects it on {words.format_date(day)}." in said


@pytest.mark.parametrize("trouble", [429, 500, 503, "garbage", "cut", "before"])
@pytest.mark.parametrize("call", ["prepare", "buy", "find"])
async def test_whatever_the_carrier_answers_one_label_is_bought(depot: Depot, call: str, trouble: int | str) -> None:
    depot.easypost.fail = {call: [trouble] * 2, **({"buy": ["cut"]} if call == "find" else {})}
    request = await depot.approved()
    await depot.work()
    for _again in range(6):
        await depot.hurry()
    label = await depot.label(request)
    assert len(depot.sold) <= 1
    if label.state == labels.READY:
        assert len(depot.sold) == 1
    else:
        # Of a purchase that was never made nothing is found: nobody tries it a second time without a person.
        assert (call, label.state, depot.sold) == ("buy", labels.PREPARED, [])


async def test_what_left_no_trace_is_for_a_person_and_is_never_bought_anew(depot: Depot) -> None:
    depot.easypost.fail = {"buy": ["before"]}
    request = await depot.approved()
    await depot.work()
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        await tx.execute(text("UPDATE return_labels SET sent_at = sent_at - interval '3 minutes'"))
    await depot.hurry()
    label = await depot.label(request)
    assert (label.state, depot.sold) == (labels.UNKNOWN, [])
    assert (await depot.shop.request(request)).waiting_since is not None
    assert depot.easypost.calls.count("buy") == 1
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        await labels.not_bought(tx, await records.held(tx, request.id), label.id, by=depot.shop.agent)
        offer = await depot.carrier.prepare(KEY, _wanted(request))
        await labels.buy(tx, await records.held(tx, request.id), offer, by=depot.shop.agent)
    await depot.work()
    assert len(depot.sold) == 1


def _wanted(request: ReturnRequest) -> Any:
    return Wanted(request.number, replace(WAREHOUSE, name="Layla"), WAREHOUSE, Parcel(1200))


@dataclass
class Mortal:
    """A carrier whose caller dies at one of its calls, before or after it was answered."""

    inner: Any
    at: str
    after: bool

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name != self.at:
            return found

        async def call(*arguments: Any) -> Any:
            self.at = ""
            if not self.after:
                raise Killed
            await found(*arguments)
            raise Killed

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", ["prepare", "buy", "document", "prepare_pickup", "book_pickup"])
async def test_killed_anywhere_a_label_is_bought_once(depot: Depot, at: str, after: bool) -> None:
    depot.shop.app = replace(depot.shop.app, carriers={"easypost": Mortal(depot.carrier, at, after)})
    day = datetime.now(UTC).date() + timedelta(days=2)  # tomorrow may be today where the shop is
    request = await depot.approved(Method.PICKUP, on=day)
    with pytest.raises(Killed):
        await depot.work()
    for _again in range(4):
        await depot.hurry()
    label = await depot.label(request)
    booked = [one for one in depot.easypost.account().pickups.values() if one["status"] == "scheduled"]
    if at == "buy" and not after:
        assert (label.state, depot.sold) == (labels.PREPARED, []), "nobody knows: it is looked for"
    else:
        assert (label.state, len(depot.sold), len(booked)) == (labels.READY, 1, 1)


async def test_nothing_is_bought_for_a_return_that_was_called_off(depot: Depot) -> None:
    request = await depot.approved()
    await depot.shop.work("want_label")
    await depot.shop.move(request, "cancel")
    await depot.work()
    assert (depot.sold, (await depot.label(request)).state) == ([], labels.VOID)


@pytest.mark.parametrize(("answer", "state", "cost"), [
    ("refunded", labels.VOID, None), ("submitted", labels.VOIDING, 774), ("rejected", labels.KEPT, 774),
])  # fmt: skip
async def test_an_unused_label_is_given_back(depot: Depot, answer: str, state: str, cost: int | None) -> None:
    request = await depot.approved()
    await depot.work()
    depot.easypost.refunds = answer
    await depot.shop.move(request, "cancel")
    await depot.work()
    found = await depot.shop.request(request)
    assert ((await depot.label(request)).state, found.label_cost) == (state, cost)
    if answer == "submitted":
        depot.easypost.refunds = "refunded"
        await depot.hurry("void_label")
        assert (await depot.shop.request(request)).label_cost is None


async def test_called_off_while_it_is_bought_it_is_given_back(depot: Depot) -> None:
    depot.easypost.fail = {"buy": ["cut"]}
    depot.easypost.refunds = "refunded"
    request = await depot.approved()
    await depot.work()
    await depot.shop.move(request, "cancel")
    await depot.hurry()
    await depot.work()
    assert ((await depot.label(request)).state, depot.sold) == (labels.VOID, ["7.74", "-7.74"])


async def _news(depot: Depot, request: ReturnRequest, stage: Stage, *, minutes: int = 0) -> bool:
    label = await depot.label(request)
    movement = Movement(label.external_id, "", stage, datetime.now(UTC) + timedelta(minutes=minutes))
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        return await labels.moved(tx, depot.shop.store.id, movement)


async def test_the_carriers_news_move_the_return_and_old_ones_do_not(depot: Depot) -> None:
    request = await depot.approved()
    await depot.work()
    assert await _news(depot, request, Stage.MOVING)
    assert await depot.state(request) is State.IN_TRANSIT
    assert await _news(depot, request, Stage.WAITING, minutes=-5), "older than what is known"
    assert (await depot.label(request)).stage == Stage.MOVING
    assert await _news(depot, request, Stage.DELIVERED, minutes=5)
    found = await depot.shop.request(request)
    assert State(found.state) is State.IN_TRANSIT
    assert found.waiting_since is not None, "somebody opens the parcel"


async def test_a_label_in_use_is_not_given_back(depot: Depot) -> None:
    request = await depot.approved()
    await depot.work()
    await _news(depot, request, Stage.MOVING)
    label = await depot.label(request)
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        with pytest.raises(Conflict):
            await labels.give_back(tx, await records.held(tx, request.id), label.id, by=depot.shop.agent)


async def test_news_are_signed_taken_once_and_of_strangers_nothing_is_kept(depot: Depot, workspace: UUID) -> None:
    request = await depot.approved()
    await depot.work()
    app = depot.shop.app
    async with app.db.transaction(workspace) as tx:
        row = await shipping.of_store(tx, depot.shop.store.id)
        secret = await shipping.hook_of(tx, app.vault, depot.shop.store.id)
    assert row is not None
    assert secret
    source = EasyPostSource(app.db, app.vault)
    body = await depot.told("in_transit", (await depot.label(request)).tracking_number)
    good = {HEADER: signature(secret, body).encode()}
    assert isinstance(await source.read(row.token, good, body), Delivery)
    for tail, headers, said in (
        (row.token, {}, body), (row.token, {HEADER: signature("another", body).encode()}, body),
        (row.token, good, body + b" "), ("x" * 24, good, body), ("", good, body),
    ):  # fmt: skip
        assert await source.read(tail, headers, said) is Answer.UNSIGNED
    edge = Inbox(app.queue_url, _silence)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(Receiver(Starlette(), edge, {"easypost": source})), base_url="http://test"
    )
    async with client:
        for _replay in range(2):
            answer = await client.post(f"/webhooks/easypost/{row.token}", content=body, headers={
                HEADER: signature(secret, body)})  # fmt: skip
            assert answer.status_code == 200
    await edge.close()
    claimed = []
    # What other tests left lying is older, and comes first.
    while waiting := await inbox.claim(app.db):
        claimed += [one for one in waiting if one.source == "easypost"]
    assert len(claimed) == 1, "the same event twice is one"
    await parcels.arrived(app, workspace, depot.shop.store.id, claimed[0])
    await parcels.arrived(app, workspace, depot.shop.store.id, claimed[0])
    assert await depot.state(request) is State.IN_TRANSIT
    assert (await depot.shop.events(request)).count("in_transit") == 1
    async with app.db.transaction(workspace) as tx:
        assert not await labels.moved(tx, depot.shop.store.id, Movement("shp_x", "1Z", Stage.MOVING, datetime.now(UTC)))
        assert not await labels.moved(tx, depot.shop.store.id, Movement("", "", Stage.MOVING, datetime.now(UTC)))


async def _silence() -> None:
    return None


async def test_what_is_shown_is_what_is_bought_and_only_once(depot: Depot, store: Store) -> None:
    await settings(depot.shop, {"label": ()}, automatic=False)
    request = await depot.approved()
    await depot.work()
    assert depot.sold == [], "nobody said so"
    offer = await labels.quote(depot.shop.app, depot.shop.workspace, request.id)
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        await labels.buy(tx, await records.held(tx, request.id), offer, by=depot.shop.agent)
        with pytest.raises(Conflict):
            await labels.buy(tx, await records.held(tx, request.id), offer, by=depot.shop.agent)
    await depot.work()
    assert depot.sold == [str(offer.price.decimal())]


async def test_a_way_that_is_not_offered_is_refused(depot: Depot) -> None:
    await settings(depot.shop, {"label": ("IL",), "pickup": ()})
    for way in (
        Way(Method.LABEL), Way(Method.STORE), Way(Method.PICKUP),
        Way(Method.PICKUP, on=datetime.now(UTC).date() + timedelta(days=30)),
    ):  # fmt: skip
        with pytest.raises(AhlanError):
            await depot.shop.submit(way=way)


async def test_an_order_without_an_address_waits_for_a_person(depot: Depot) -> None:
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        order = await tx.get(Order, depot.shop.order_id)
        assert order is not None
        order.shipping_address = None
    await settings_without_address(depot)
    request = await depot.approved(Method.LABEL)
    await depot.work()
    label = await depot.label(request)
    assert (label.state, label.code) == (labels.FAILED, "no_address")


async def test_a_label_that_cannot_be_bought_waits_for_a_person_whatever_the_store_does_meanwhile(depot: Depot) -> None:
    shop = depot.shop
    await shop.policy(Policy(instant_below=(ils(999_999),)))
    async with shop.app.db.transaction(shop.workspace) as tx:
        order = await tx.get(Order, shop.order_id)
        assert order is not None
        order.shipping_address = None
    again = Choice((ChoiceLine(SHIRT, 1, "too_small"),), Resolution.REPLACEMENT)
    request = await shop.submit(again, way=Way(Method.LABEL))
    await depot.work()
    assert (await depot.label(request)).state == labels.FAILED
    await shop.work("carry_return")
    found = await shop.request(request)
    assert found.sent_at is not None, "what they chose went out"
    assert found.waiting_since is not None, "and they still have no label"
    assert moves.goods_are_late(found) is False, "their time is not over"
    found = await shop.move(found, "label", tracking_number="RR 1")
    assert (found.waiting_since, found.overdue) == (None, "")


async def test_a_courier_that_could_be_booked_in_the_end_waits_for_nobody(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_asked: object) -> None:
        raise PlatformError("no courier there", retry=False, code="PICKUP.UNAVAILABLE")

    monkeypatch.setattr(depot.carrier, "book_pickup", refused)
    day = datetime.now(UTC).date() + timedelta(days=2)
    request = await depot.approved(Method.PICKUP, on=day)
    await depot.work()
    label = await depot.label(request)
    assert label.pickup_state == labels.FAILED
    assert (await depot.shop.request(request)).waiting_since is not None
    monkeypatch.undo()
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        await labels.look_again(tx, await records.held(tx, request.id), label.id, by=depot.shop.agent)
    await depot.work()
    assert (await depot.label(request)).pickup_state == labels.BOOKED
    assert (await depot.shop.request(request)).waiting_since is None


async def settings_without_address(depot: Depot) -> None:
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        assert list(await shipping.offered(tx, depot.shop.store.id, ""))


def test_the_nearest_places_come_first() -> None:
    def place(name: str, postcode: str, where: tuple[float, float] | None = None) -> shipping.ReturnPlace:
        north, east = where or (None, None)
        return shipping.ReturnPlace(name=name, kind="point", line1="x", city="Haifa", postcode=postcode, country="IL",
                                    latitude=north, longitude=east)  # fmt: skip

    far, close = place("far", "9100000", (31.77, 35.21)), place("close", "3300000", (32.79, 34.99))
    asked = {"postcode": "3303000", "city": "Haifa", "country": "IL"}
    found = shipping.near([far, close, place("nowhere", "33")], here=(32.8, 35.0), **asked)
    assert [one.place.name for one in found] == ["close", "far", "nowhere"]
    assert 0 < (found[0].km or 0) < 2
    assert [one.place.name for one in shipping.near([far, close], **asked)] == ["close", "far"]


async def test_what_is_told_of_a_return_leads_to_its_page_in_the_shoppers_language(depot: Depot) -> None:
    request = await depot.approved()
    await depot.work()
    shop = depot.shop
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(text("UPDATE return_requests SET language = 'ar' WHERE id = :id"), {"id": request.id})
    await shop.work("tell_return")
    told = await shop.said(request)
    assert told
    page = f"/widget/page?store={shop.store.public_key}&locale=ar&return={request.public_id}"
    assert all(one.endswith(page) and "متابعة الإرجاع" in one for one in told if "الإرجاع" in one)
    assert any(one.endswith(page) for one in told)
    shop.store.widget = {**shop.store.widget, pages.RETURNS_PATH: "/apps/support/returns"}
    own = pages.address("https://ahlan.example", shop.store, "he", "x")
    assert own == f"{shop.store.url.rstrip('/')}/apps/support/returns?locale=he&return=x"
