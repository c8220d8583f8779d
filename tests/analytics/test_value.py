"""What support brings: sales after answers, reasons by product, what nobody had to do."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from plugin.analytics import reports, value
from plugin.analytics.reports import Days
from plugin.analytics.value import Alone, Question, Terms
from plugin.app import App
from plugin.bot.turns import BotTurn
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.filters import Filter
from plugin.conversations.messages import AGENT, BOT, MESSAGE, NOTE, SHOPPER, Message
from plugin.conversations.ties import ConversationOrder
from plugin.conversations.views import Reader
from plugin.crm.customers import Customer
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.db import Tx, new_id
from plugin.kernel.money import Money
from plugin.stores import Store
from plugin.team import Agent, Role

DAYS = Days(date(2026, 3, 20), date(2026, 4, 20), ZoneInfo("Asia/Jerusalem"))
BEGINS = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        made = Store(
            id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}", name="Dukkan", url="https://dukkan.example",
        )  # fmt: skip
        tx.add(made)
    return made


@pytest.fixture
async def people(app: App, workspace: UUID) -> list[Agent]:
    async with app.db.transaction(workspace) as tx:
        made = [
            Agent(id=new_id(), name=name, email=f"{uuid4().hex}@shop.example", role=Role.AGENT)
            for name in ("Noa", "Omar")
        ]
        for one in made:
            tx.add(one)
    return made


def asked(people: list[Agent], within: int = 3, store: Store | None = None) -> Question:
    about = reports.Question(Filter(), DAYS, Reader(people[0].id, DAYS.zone))
    return Question(about, store.id if store else None, within)


def order(store: Store, customer: UUID | None, at: datetime, **more: Any) -> Order:
    id = new_id()
    values: dict[str, Any] = {
        "id": id, "store_id": store.id, "external_id": id.hex, "version": at, "customer_id": customer,
        "name": f"#{id.hex[:6]}", "number": id.hex[:6], "placed_at": at, "status": "open", "payment_status": "paid",
        "fulfilment_status": "", "currency": "ILS", "exponent": 2, "total": 10_000, **more,
    }  # fmt: skip
    return Order(**values)


def talk(store: Store, customer: UUID | None, at: datetime, **more: Any) -> Conversation:
    values: dict[str, Any] = {
        "id": new_id(), "store_id": store.id, "customer_id": customer, "channel": "widget", "status": Status.RESOLVED,
        "created_at": at, "last_message_at": at, **more,
    }  # fmt: skip
    return Conversation(**values)


def said(one: Conversation, place: int, author: str, at: datetime, **more: Any) -> Message:
    one.last_message_at = max(one.last_message_at, at)
    values: dict[str, Any] = {
        "id": new_id(), "conversation_id": one.id, "store_id": one.store_id, "position": place,
        "seq": None if more.get("kind") == NOTE else place, "client_id": uuid4(), "author": author, "kind": MESSAGE,
        "text": "…", "created_at": at, **more,
    }  # fmt: skip
    return Message(**values)


async def put(tx: Tx, *rows: Any) -> None:
    for row in rows:
        tx.add(row)
        await tx.flush()


async def person(tx: Tx) -> UUID:
    one = Customer(id=new_id(), name="Shopper")
    await put(tx, one)
    return one.id


@pytest.mark.parametrize("within", [1, 3, 7])
async def test_an_order_counts_once_with_whoever_answered_last(
    app: App, workspace: UUID, store: Store, people: list[Agent], within: int
) -> None:
    dice = Random(within)
    placed: list[tuple[Order, UUID]] = []
    answers: list[tuple[datetime, UUID, UUID | None, datetime]] = []
    async with app.db.transaction(workspace) as tx:
        for _person in range(25):
            customer = await person(tx)
            for _talk in range(dice.randrange(4)):
                begun = BEGINS + timedelta(hours=dice.randrange(24 * 45))
                spam = dice.random() < 0.2
                silent = dice.random() < 0.2
                one = talk(store, customer, begun, status=Status.SPAM if spam else Status.OPEN)
                messages = [] if silent else [said(one, 1, SHOPPER, begun)]
                at = begun
                for place in range(2, 2 + dice.randrange(4)):
                    at += timedelta(minutes=dice.randrange(1, 3000))
                    author = dice.choice([AGENT, BOT, SHOPPER, "note"])
                    agent = dice.choice(people).id if author in (AGENT, "note") else None
                    kind = {"kind": NOTE} if author == "note" else {}
                    messages.append(said(one, place, AGENT if kind else author, at, agent_id=agent, **kind))
                    if author in (AGENT, BOT) and not spam and not silent:
                        answers.append((at, customer, agent, begun))
                await put(tx, one, *messages)
            for _order in range(dice.randrange(4)):
                near = [moment for moment, who, _agent, _begun in answers if who == customer]
                at = BEGINS + timedelta(minutes=dice.randrange(60 * 24 * 45))
                if near and dice.random() < 0.7:
                    at = dice.choice(near) + timedelta(minutes=dice.randrange(60 * 24 * 9))
                gone = dice.choice([{}, {}, {}, {"cancelled_at": at}, {"deleted_at": at}, {"refunded": 2_500}])
                row = order(store, customer, at, currency=dice.choice(["ILS", "ILS", "JOD"]), **gone)
                await put(tx, row)
                placed.append((row, customer))
        await put(tx, order(store, None, BEGINS + timedelta(days=20)))
        found = await value.sales(tx, asked(people, within))
        listed = await value.newest_sales(tx, asked(people, within), 1000)
        assert not await value.sales(tx, asked(people, within, Store(id=new_id())))
    expected: Counter[tuple[UUID | None, str]] = Counter()
    amounts: Counter[tuple[UUID | None, str]] = Counter()
    for row, customer in placed:
        day = row.placed_at.astimezone(DAYS.zone).date()
        if row.cancelled_at or row.deleted_at or not DAYS.first <= day <= DAYS.last:
            continue
        since = row.placed_at - timedelta(days=within)
        before = [one for one in answers if one[1] == customer and since <= one[0] <= row.placed_at]
        if before:
            who = max(before, key=lambda one: one[0])[2]
            expected[who, row.currency] += 1
            amounts[who, row.currency] += row.total - (row.refunded or 0)
    assert {(one.agent_id, one.amount.currency): one.orders for one in found} == dict(expected)
    assert {(one.agent_id, one.amount.currency): one.amount.amount for one in found} == dict(amounts)
    assert len(listed) == sum(expected.values()) > 0
    assert [one.placed_at for one in listed] == sorted((one.placed_at for one in listed), reverse=True)


async def test_products_are_those_of_the_order_that_a_conversation_is_about(
    app: App, workspace: UUID, store: Store, people: list[Agent]
) -> None:
    begun = BEGINS + timedelta(days=20)

    def line(of: Order, product: str) -> OrderLine:
        return OrderLine(
            order_id=of.id, external_id=product, store_id=store.id, version=begun, position=0, title=product.title(),
            quantity=1, product_external_id=product,
        )  # fmt: skip

    async with app.db.transaction(workspace) as tx:
        customer = await person(tx)
        old, newer = (order(store, customer, begun - timedelta(days=days)) for days in (40, 5))
        too_old = order(store, stranger := await person(tx), begun - timedelta(days=61))
        await put(tx, old, newer, too_old, line(old, "mug"), line(newer, "shirt"), line(newer, "scarf"),
                  line(too_old, "lamp"))  # fmt: skip
        tied = talk(store, customer, begun, topic="damaged_item")
        loose = talk(store, customer, begun, topic="track_order")
        await put(
            tx, tied, loose, talk(store, stranger, begun, topic="track_order"), talk(store, None, begun),
            talk(store, customer, begun, status=Status.SPAM, topic="track_order"),
            talk(store, customer, begun - timedelta(days=30), topic="track_order"),
            ConversationOrder(conversation_id=tied.id, order_id=old.id, agent_id=people[0].id),
        )  # fmt: skip
        found = await value.products(tx, asked(people))
    assert {one.product: (one.title, dict(one.topics)) for one in found} == {
        "mug": ("Mug", {"damaged_item": 1}),
        "shirt": ("Shirt", {"track_order": 1}),
        "scarf": ("Scarf", {"track_order": 1}),
    }


async def test_what_the_bot_settled_had_no_person_in_it(
    app: App, workspace: UUID, store: Store, people: list[Agent]
) -> None:
    begun = BEGINS + timedelta(days=20)

    async def one(tx: Tx, *, agent: bool = False, handed: bool = False, waits: bool = False, sent: bool = True) -> None:
        it = talk(store, None, begun, waiting_since=begun if waits else None)
        messages = [said(it, 1, SHOPPER, begun), said(it, 2, BOT, begun)]
        messages += [said(it, 3, AGENT, begun, agent_id=people[0].id)] if agent else []
        data = {"handed": True} if handed else {}
        turn = BotTurn(conversation_id=it.id, store_id=store.id, message_id=messages[0].id, sent=sent, outcome="answer",
                       reason="sure", data=data)  # fmt: skip
        await put(tx, it, *messages, turn)

    async with app.db.transaction(workspace) as tx:
        await one(tx)
        for fault in ("agent", "handed", "waits"):
            await one(tx, **{fault: True})
        await one(tx, sent=False)
        found = await value.alone(tx, asked(people))
        elsewhere = await value.alone(tx, asked(people, store=Store(id=new_id())))
    assert found == Alone(bot=1)
    assert elsewhere.returns == elsewhere.orders == elsewhere.articles == 0


def test_the_sums_are_those_of_the_formula() -> None:
    alone, terms = Alone(bot=70, returns=20, orders=9, articles=1), Terms(6, "ILS", 2, hour=3_550, month=30_000)
    assert alone.seconds(terms) == 100 * 6 * 60
    assert alone.worth(terms) == Money(35_500, "ILS", 2)
    assert alone.gain(terms, 30) == pytest.approx((35_500 - 30_000) / 30_000)
    assert alone.gain(terms, 15) == pytest.approx((35_500 - 15_000) / 15_000)
    assert alone.worth(Terms()) is None
    assert alone.gain(Terms(6, "ILS", 2, hour=1), 30) is None


async def test_another_workspace_counts_for_nothing(
    app: App, workspace: UUID, other_workspace: UUID, store: Store, people: list[Agent]
) -> None:
    begun = BEGINS + timedelta(days=20)
    async with app.db.transaction(workspace) as tx:
        customer = await person(tx)
        it = talk(store, customer, begun)
        await put(tx, it, said(it, 1, SHOPPER, begun), said(it, 2, AGENT, begun, agent_id=people[0].id),
                  order(store, customer, begun + timedelta(hours=1)))  # fmt: skip
        assert await value.sales(tx, asked(people))
    async with app.db.transaction(other_workspace) as tx:
        assert not await value.sales(tx, asked(people))
        assert not await value.orders(tx, asked(people))
        assert not await value.products(tx, asked(people))
