"""What the bot looks up: orders only for whom they are proven to be, goods and hours for everybody."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin.app import App
from plugin.bot import answering, turns
from plugin.bot.thinking import title_of
from plugin.conversations import messages, teams
from plugin.conversations.conversations import TABLE, Conversation, Shopper
from plugin.conversations.letters import Letter
from plugin.crm import sync
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.crm.products import Product
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import FulfilmentRecord, LineRecord, OrderRecord, ProductRecord, VariantRecord
from plugin.returns import self_service
from plugin.returns.proof import OrderProof
from plugin.returns.records import ReturnRequest
from plugin.returns.requests import next_serial
from plugin.returns.self_service import Door, Rules
from plugin.returns.states import State
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import UNSURE, Chat, Models, set_bot, settle
from tests.bot.test_answering import offered, reason
from tests.knowledge.conftest import Write

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def known(models: Models) -> None:
    """What the models know of these questions."""
    for text, topic in {
        "where is my order": "track_order",
        "I want to return it": "return_item",
        "cancel it": "cancel_order",
        "where is order": "track_order",
        "is the Linen Shirt there?": "availability",
        "is the Linen Shirt there in M?": "availability",
        "do you have shirts?": "availability",
        "is it there?": "availability",
        "how much is the second one?": "availability",
        "when are you open?": "opening_hours",
        "refund?": "refund_status",
    }.items():
        models.reads(text, topic)


async def order(app: App, workspace: UUID, store: Store, name: str, **more: object) -> UUID:
    external = uuid4().hex
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Store, store.id)
        assert row is not None
        parcels = more.pop("parcels", ())
        record = OrderRecord(
            external_id=external, version=NOW, name=name, placed_at=NOW - timedelta(days=2),
            total=Money(12_000, "SAR", 2), lines=(LineRecord("l1", "Kettle", 1, Money(12_000, "SAR", 2)),),
            fulfilments=parcels, **more,
        )  # fmt: skip
        await sync.apply(tx, row, [record])
        return UUID(str(await tx.scalar(select(Order.id).where(Order.external_id == external))))


async def prove(app: App, workspace: UUID, shopper: Shopper, order_id: UUID) -> None:
    """The shopper's browser gave the code that was sent to the order's address."""
    async with app.db.transaction(workspace) as tx:
        tx.add(
            OrderProof(id=new_id(), store_id=shopper.store_id, visitor_id=shopper.visitor_id, order_id=order_id,
                       typed={}, expires_at=NOW, proved_at=NOW, ends_at=NOW + timedelta(hours=1))
        )  # fmt: skip


async def test_without_proof_nothing_is_told_and_the_door_to_it_is_shown(
    chat: Chat, app: App, workspace: UUID, store: Store
) -> None:
    await order(app, workspace, store, "#1001")
    said = await chat.say("where is my order 1001")
    assert said is not None
    (card,) = said.data["cards"]
    assert (card["kind"], card["screen"], card["given"]) == ("door", "find", {"number": "1001"})
    assert "being prepared" not in said.text
    # The same words for an order that nobody has.
    other = Chat(chat.app, workspace, Shopper((await _visitor(app, workspace, store)), store.id))
    again = await other.say("where is my order 9999")
    assert again is not None
    assert again.text == said.text


async def _visitor(app: App, workspace: UUID, store: Store, customer: UUID | None = None) -> UUID:
    async with app.db.transaction(workspace) as tx:
        visitor = Visitor(id=new_id(), store_id=store.id, secret_hash=uuid4().bytes, customer_id=customer,
                          identified_at=NOW if customer else None)  # fmt: skip
        tx.add(visitor)
    return visitor.id


async def test_a_proven_order_is_told_with_its_parcel(chat: Chat, app: App, workspace: UUID, store: Store) -> None:
    parcel = FulfilmentRecord("f1", "in_transit", carrier="Aramex", tracking_number="AR123456", shipped_at=NOW)
    id = await order(app, workspace, store, "#1001", parcels=(parcel,))
    await prove(app, workspace, chat.shopper, id)
    said = await chat.say("where is my order")
    assert said is not None
    assert "was sent on" in said.text
    assert "AR123456" in said.text
    assert "aramex.com" in said.text
    (card,) = said.data["cards"]
    assert (card["screen"], card["given"]) == ("order", {"id": str(id)})
    assert said.data["bot"]["parts"][0]["tool"] == "orders"


@pytest.mark.parametrize(
    ("text", "says"),
    [("refund?", "On its way back"), ("وين فلوسي", "في طريق العودة"), ("איפה ההחזר שלי", "בדרך חזרה")],
)
async def test_a_return_is_followed_by_asking_and_only_by_who_proved_its_order(
    chat: Chat, app: App, workspace: UUID, store: Store, models: Models, text: str, says: str
) -> None:
    models.reads(text, "refund_status")
    id = await order(app, workspace, store, "#1001")
    async with app.db.transaction(workspace) as tx:
        first = await next_serial(tx)
        made = [
            ReturnRequest(
                id=new_id(), store_id=store.id, order_id=id, client_id=uuid4(), serial=first + age,
                public_id=uuid4().hex, state=state, created_at=NOW - timedelta(days=age),
            )
            for state, age in ((State.CANCELLED, 3), (State.IN_TRANSIT, 1))
        ]  # fmt: skip
        tx.add(*made)
    said = await chat.say(text)
    assert said is not None
    assert made[1].number not in said.text
    assert [card["screen"] for card in said.data["cards"]] == ["find"]
    await prove(app, workspace, chat.shopper, id)
    said = await chat.say(text)
    assert said is not None
    assert made[1].number in said.text
    assert says in said.text
    (card,) = said.data["cards"]
    assert (card["screen"], card["given"]) == ("made", {"id": made[1].public_id})


async def test_every_step_is_logged_with_its_evidence_refused_ones_too(
    chat: Chat, app: App, workspace: UUID, store: Store, goods: dict[str, UUID]
) -> None:
    await chat.say("where is my order")
    id = await order(app, workspace, store, "#1001")
    await prove(app, workspace, chat.shopper, id)
    for words in ("where is my order", "cancel it", "is the Linen Shirt there?", "who won the match?"):
        await chat.say(words)
    async with app.db.transaction(workspace) as tx:
        rows = list(await tx.scalars(select(turns.BotTurn).order_by(turns.BotTurn.created_at)))
        written = set(await tx.scalars(select(messages.Message.id).where(messages.Message.author == "shopper")))
    told = [
        (row.data["parts"][0]["tool"], row.outcome, row.reason, row.data["order"], row.data["proof"]) for row in rows
    ]
    assert told == [
        ("proof", "ask", "details_missing", "", ""),
        ("orders", "answer", "sure", str(id), "code"),
        ("orders", "answer", "sure", str(id), "code"),
        ("catalogue", "answer", "sure", "", ""),
        ("", "person", rows[-1].reason, "", ""),
    ]
    assert rows[-1].reason
    assert rows[3].data["products"] == [str(goods["Linen Shirt"])]
    assert {row.message_id for row in rows} == written
    assert "Linen" not in str([row.data for row in rows]), "ids and figures, never what anybody wrote"


async def test_a_door_that_the_shop_closed_is_not_offered(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models
) -> None:
    """What leads to it goes to a person, or to what the shop wrote about it; nothing behind it is told."""
    models.reads("it arrived broken", "damaged_item")
    asked = {"where is my order": "order", "I want to return it": "back", "it arrived broken": "problem"}
    leads = {"order": Door.ORDERS, "back": Door.RETURNS, "problem": Door.CLAIMS}
    id = await order(app, workspace, store, "#1001")
    for closed in (Door.RETURNS, Door.ORDERS, Door.CLAIMS):
        async with app.db.transaction(workspace) as tx:
            row = await tx.get(Store, store.id)
            assert row is not None
            await self_service.save(tx, row, Rules(**{closed.value: False}), by=maya)
        for text, screen in asked.items():
            shopper = Shopper(await _visitor(app, workspace, store), store.id)
            await prove(app, workspace, shopper, id)
            said = await Chat(chat.app, workspace, shopper).say(text)
            shown = [card["screen"] for card in said.data.get("cards", ())] if said is not None else []
            assert shown == ([] if leads[screen] is closed else [screen]), (closed, text)
            if leads[screen] is closed:
                assert said is None or "prepared" not in said.text
        greeted = await Chat(chat.app, workspace, Shopper(await _visitor(app, workspace, store), store.id)).say("hello")
        for topic, door in {"track_order": Door.ORDERS, "return_item": Door.RETURNS}.items():
            assert (title_of(topic, "en") in offered(greeted)) is (door is not closed), topic


async def test_an_order_of_somebody_else_stays_closed_beside_ones_own(
    chat: Chat, app: App, workspace: UUID, store: Store
) -> None:
    await prove(app, workspace, chat.shopper, await order(app, workspace, store, "#1001"))
    await order(app, workspace, store, "#2002")
    said = await chat.say("where is my order 2002")
    assert said is not None
    assert said.data["cards"][0]["screen"] == "find"
    assert "prepared" not in said.text


@pytest.mark.parametrize(("minutes", "told"), [(1, True), (45, False)])
async def test_the_stores_word_for_who_is_signed_in_counts_while_it_is_fresh(
    chat: Chat, app: App, workspace: UUID, store: Store, minutes: int, told: bool
) -> None:
    async with app.db.transaction(workspace) as tx:
        customer = Customer(id=new_id(), name="Dina")
        tx.add(customer)
    id = await order(app, workspace, store, "#1001")
    shopper = Shopper(await _visitor(app, workspace, store, customer.id), store.id, customer.id)
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Order).where(Order.id == id).values(customer_id=customer.id))
        await tx.execute(
            update(Visitor)
            .where(Visitor.id == shopper.visitor_id)
            .values(identified_at=NOW - timedelta(minutes=minutes))
        )
    said = await Chat(chat.app, workspace, shopper).say("where is my order")
    assert said is not None
    assert ("being prepared" in said.text) is told


async def test_a_guess_of_ours_about_who_writes_is_no_proof(
    chat: Chat, app: App, workspace: UUID, store: Store
) -> None:
    """A colleague put the conversation to a customer by hand: the browser has proven nothing."""
    async with app.db.transaction(workspace) as tx:
        customer = Customer(id=new_id(), name="Dina")
        tx.add(customer)
    id = await order(app, workspace, store, "#1001")
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Order).where(Order.id == id).values(customer_id=customer.id))
    await chat.say("hello")
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(TABLE).where(TABLE.c.id == (await chat.talk()).id).values(customer_id=customer.id))
    said = await chat.say("where is my order")
    assert said is not None
    assert said.data["cards"][0]["screen"] == "find"


async def test_of_several_orders_one_is_chosen_and_then_it_is_it(
    chat: Chat, app: App, workspace: UUID, store: Store
) -> None:
    ids = {}
    for name in ("#1001", "#1002"):
        ids[name] = await order(app, workspace, store, name)
        await prove(app, workspace, chat.shopper, ids[name])
    said = await chat.say("where is my order")
    assert len(offered(said)) == 3
    said = await chat.say("1002")
    assert said is not None
    assert said.data["cards"][0]["given"] == {"id": str(ids["#1002"])}
    said = await chat.say("I want to return it")
    assert said is not None
    (card,) = said.data["cards"]
    assert (card["screen"], card["given"]) == ("back", {"order": str(ids["#1002"]), "step": 1})


async def test_to_cancel_leads_to_the_order_and_carries_nothing_out(
    chat: Chat, app: App, workspace: UUID, store: Store
) -> None:
    id = await order(app, workspace, store, "#1001")
    await prove(app, workspace, chat.shopper, id)
    said = await chat.say("cancel it")
    assert said is not None
    assert said.data["cards"][0]["given"] == {"id": str(id)}
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Order, id)
        assert row is not None
        assert row.cancelled_at is None


# Goods


@pytest.fixture
async def goods(app: App, workspace: UUID, store: Store) -> dict[str, UUID]:
    """Two shirts and a mug; the shirt comes in three sizes, one of which is sold out."""

    def variant(id: str, title: str, price: int, available: bool = True) -> VariantRecord:
        return VariantRecord(id, title, Money(price, "SAR", 2), stock=5 if available else 0, available=available)

    sizes = (variant("v1", "S", 9_000), variant("v2", "M", 9_000), variant("v3", "L", 9_000, False))
    records = [
        ProductRecord("p1", NOW, "Linen Shirt", "active", url="https://dukkan.example/linen",
                      variants=sizes),
        ProductRecord("p2", NOW, "Cotton Shirt", "active", variants=(variant("v4", "", 5_000),)),
        ProductRecord("p3", NOW, "Blue Mug", "active", variants=(variant("v5", "", 3_000, False),)),
        ProductRecord("p4", NOW, "Secret Shirt", "draft", variants=(variant("v6", "", 1_000),)),
    ]  # fmt: skip
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Store, store.id)
        assert row is not None
        await sync.apply(tx, row, records)
        found = await tx.scalars(select(Product).where(Product.store_id == store.id))
        return {one.title: one.id for one in found}


async def test_stock_and_price_come_from_the_catalogue(chat: Chat, goods: dict[str, UUID]) -> None:
    said = await chat.say("is the Linen Shirt there?")
    assert said is not None
    assert "S and M" in said.text.replace("\u2068", "").replace("\u2069", "").replace(", and", " and")
    assert "Sold out" in said.text
    assert "90" in said.text
    assert [one["title"] for one in said.data["cards"]] == ["Linen Shirt"]
    said = await chat.say("is the Linen Shirt there in M?")
    assert said is not None
    assert "in \u2068M\u2069" in said.text or "in M" in said.text


async def test_the_second_one_and_it_are_what_was_shown(chat: Chat, goods: dict[str, UUID]) -> None:
    said = await chat.say("do you have shirts?")
    assert {one["title"] for one in (said.data["cards"] if said else [])} == {"Linen Shirt", "Cotton Shirt"}
    second = (said.data["cards"] if said else [])[1]["title"]
    said = await chat.say("how much is the second one?")
    assert [one["title"] for one in (said.data["cards"] if said else [])] == [second]


@pytest.mark.parametrize(
    "words",
    [
        "Is there a bigger one?", "do you have a smaller size?", "what is the largest", "في أكبر؟", "هل يوجد مقاس أصغر",
        "عندكم أوسع منه", "fi akbar?", "יש גדול יותר?", "אפשר במידה יותר קטנה?",
    ],
)  # fmt: skip
async def test_a_bigger_one_is_another_size_of_what_was_shown(
    chat: Chat, goods: dict[str, UUID], models: Models, words: str
) -> None:
    models.reads(words, "availability", "exchange", gate=UNSURE)
    await chat.say("is the Linen Shirt there?")
    said = await chat.say(words)
    assert said is not None
    assert [one["title"] for one in said.data["cards"]] == ["Linen Shirt"]
    assert [size for size in "SML" if f"\u2068{size}\u2069" in said.text] == ["S", "M", "L"]
    assert reason(said) == "sure"


async def test_a_bigger_one_in_an_exchange_is_no_question_about_stock(
    chat: Chat, goods: dict[str, UUID], models: Models
) -> None:
    words = "can I exchange it for a bigger one?"
    models.reads(words, "exchange")
    await chat.say("is the Linen Shirt there?")
    said = await chat.say(words)
    assert said is not None
    assert said.data["bot"]["parts"][0]["topic"] == "exchange"
    assert said.data["bot"]["parts"][0]["tool"] != "catalogue"


async def test_a_product_that_is_asked_for_is_named_in_the_next_message(
    chat: Chat, goods: dict[str, UUID], models: Models
) -> None:
    models.reads("the blue mug", "gift_card", gate=UNSURE)
    said = await chat.say("is it there?")
    assert "Which product" in (said.text if said else "")
    said = await chat.say("the blue mug")
    assert "sold out" in (said.text if said else "")


async def test_opening_hours_are_the_teams_own(chat: Chat, app: App, workspace: UUID) -> None:
    assert reason(await chat.say("when are you open?")) == "nothing_written"
    other = [["09:00-17:00"]] * 5 + [[], []]
    async with app.db.transaction(workspace) as tx:
        await teams.save(tx, teams.Team(id=new_id(), name="All", skills=[], members=[], stores=[], languages=[],
                         giving="manual", timezone="Asia/Riyadh", hours={"week": other, "special": []}))  # fmt: skip
        talk = await tx.get(Conversation, (await chat.talk()).id)
        assert talk is not None
    fresh = Chat(chat.app, workspace, Shopper((await _visitor(app, workspace, await _store(app, workspace))),
                                              chat.shopper.store_id))  # fmt: skip
    said = await fresh.say("when are you open?")
    assert said is not None
    assert "09:00–17:00" in said.text
    assert "Monday – Friday" in said.text


async def _store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        found = await tx.scalar(select(Store).where(Store.workspace_id == workspace))
        assert found is not None
        return found


async def test_a_machine_at_the_other_end_of_letters_is_answered_a_few_times_a_day(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models, monkeypatch: pytest.MonkeyPatch,
    article: Write,
) -> None:  # fmt: skip
    monkeypatch.setattr(answering, "MOST_LETTERS_A_DAY", 1)
    ids = [str(await article(en=(title, body))) for title, body in (("Pay", "By card."), ("Hours", "From nine."))]
    answers = dict(zip(("payment_methods", "opening_hours"), ids, strict=True))
    await set_bot(app, workspace, store, maya, email=True, answers=answers)
    models.reads("how can I pay?", "payment_methods")
    await chat.write("how can I pay?")
    talk = (await chat.talk()).id

    async def moved(channel: str) -> None:
        async with app.db.transaction(workspace) as tx:
            await tx.execute(update(TABLE).where(TABLE.c.id == talk).values(channel=channel))

    await moved("email")
    await settle(chat.app, workspace)
    for said in ("when are you open?", "I want to talk to a human"):
        await moved("widget")
        await chat.write(said)
        assert (await chat.talk()).id == talk
        await moved("email")
        await settle(chat.app, workspace)
    async with app.db.transaction(workspace) as tx:
        told = [one.text for one in await messages.thread(tx, talk) if one.author == "bot" and one.kind == "message"]
    assert told == ["By card."]


async def test_a_letter_that_a_machine_wrote_is_answered_by_nobody(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models, article: Write
) -> None:
    pay = str(await article(en=("Pay", "By card.")))
    await set_bot(app, workspace, store, maya, email=True, answers={"payment_methods": pay})
    models.reads("how can I pay?", "payment_methods")
    await chat.write("how can I pay?")
    talk = (await chat.talk()).id
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(TABLE).where(TABLE.c.id == talk).values(channel="email"))
        (said,) = await messages.thread(tx, talk)
        tx.add(Letter(
            store_id=store.id, conversation_id=talk, message_id=said.id, incoming=True, external_id="<1@x.example>",
            party="dana@x.example", automatic="auto-replied",
        ))  # fmt: skip
    await settle(chat.app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert [one.author for one in await messages.thread(tx, talk)] == ["shopper"]


async def test_in_a_letter_there_is_an_answer_or_nothing(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent
) -> None:
    await set_bot(app, workspace, store, maya, email=True)
    await chat.write("is the boss married?")
    talk = (await chat.talk()).id
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(TABLE).where(TABLE.c.id == talk).values(channel="email"))
    await settle(chat.app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert [one.author for one in await messages.thread(tx, talk)] == ["shopper"]
        (turn,) = (await turns.since(tx, talk, None)).turns
        assert (turn.sent, turn.reason) == (False, "outside")
