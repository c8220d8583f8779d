"""Discount codes that the bot gives, on both platforms: only to whom an order is proven, within limits, once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update

from plugin.bot import bots, flow_book, gifts
from plugin.bot.allowed import Giving, Verdict, Wish, judge
from plugin.bot.flow_book import BotFlowRun
from plugin.bot.flows import Action, Do, Flow, Trigger
from plugin.bot.gifts import BotGift
from plugin.bot.turns import BotTurn
from plugin.conversations import conversations as threads
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.conversations.messages import Message
from plugin.crm.orders import Order
from plugin.crm.visitors import Visitor
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.errors import Conflict, Forbidden
from plugin.reactions import TASKS
from plugin.returns.proof import OrderProof
from plugin.team import AuditEntry, Role
from tests.actions.conftest import Killed, Till, _rest

_OURS = ("answer_by_bot", "give_discount", "carry_out", "tell_gift")


class Asking:
    """A shopper of the till's store in its chat. `proven`: their browser gave the order's code."""

    def __init__(self, till: Till, proven: bool = True) -> None:
        self.till, self.proven = till, proven
        self.visitor = new_id()

    async def begin(self) -> None:
        till = self.till
        async with till.app.db.transaction(till.workspace) as tx:
            tx.add(Visitor(id=self.visitor, store_id=till.connection.store_id, secret_hash=uuid4().bytes))
            await tx.flush()
            if self.proven:
                tx.add(OrderProof(
                    id=new_id(), store_id=till.connection.store_id, visitor_id=self.visitor, order_id=till.order_id,
                    way="email", expires_at=func.now(), proved_at=func.now(), ends_at=func.now() + timedelta(hours=1),
                ))  # fmt: skip

    async def say(self, words: str = "a discount please") -> None:
        async with self.till.app.db.transaction(self.till.workspace) as tx:
            shopper = Shopper(self.visitor, self.till.connection.store_id, locale="en")
            await messages.receive(tx, shopper, uuid4(), words)
        await work(self.till)

    async def heard(self) -> list[str]:
        async with self.till.app.db.transaction(self.till.workspace) as tx:
            rows = await tx.scalars(
                select(Message).join(Conversation, Conversation.id == Message.conversation_id)
                .where(Conversation.visitor_id == self.visitor, Message.author == "bot", Message.kind == "message")
                .order_by(Message.position)
            )  # fmt: skip
            return [row.text for row in rows]

    async def talk(self) -> Conversation:
        async with self.till.app.db.transaction(self.till.workspace) as tx:
            found = await tx.scalar(select(Conversation).where(Conversation.visitor_id == self.visitor))
            assert found is not None
            return found


async def work(till: Till) -> None:
    """A worker takes what is due of the bot's, again and again, and leaves everything else alone."""
    for _round in range(6):
        async with till.app.db.queue.connect() as connection:
            due = (await connection.execute(
                text("SELECT id FROM jobs WHERE workspace_id = :w AND task = ANY(:t) AND done_at IS NULL "
                     "AND failed_at IS NULL AND run_at <= now() ORDER BY run_at, id"),
                {"w": till.workspace, "t": list(_OURS)},
            )).scalars().all()  # fmt: skip
        if not due:
            return
        for id in due:
            await jobs.run(till.app.db, till.app, TASKS, till.workspace, id)


async def hurry(till: Till) -> None:
    async with till.app.db.queue.begin() as connection:
        await connection.execute(
            text("UPDATE jobs SET run_at = now(), leased_until = NULL WHERE workspace_id = :w AND done_at IS NULL "
                 "AND task = ANY(:t)"),
            {"w": till.workspace, "t": list(_OURS)},
        )  # fmt: skip


async def codes(till: Till) -> list[dict[str, Any]]:
    """The codes that the store itself knows."""
    if till.kind == "shopify":
        return list(till.sim.shop.state.all("discounts"))
    return [one for one in await _rest(till.sim, "coupons") if len(one["code"]) == 13]


async def open_shop(till: Till, value: str = "10%", **giving: Any) -> None:
    """The bot is on, gives by these limits, and a flow gives `value` to whoever says "discount"."""
    limits = {"on": True, "percent": 20, "free_percent": 10, "asked_percent": 0, **giving}
    async with till.app.db.transaction(till.workspace) as tx:
        bot = await bots.ready(tx, till.connection.store_id)
        before = bots.told(bot)
        bot.enabled, bot.discount = True, limits
        await bots.save(tx, bot, before, by=till.agent, languages=till.app.catalogues.codes)
        for row in await flow_book.all_flows(tx):
            await flow_book.remove(tx, row, by=till.agent)
        flow = Flow(Trigger(words=("discount",)), (Action("give", Do.DISCOUNT, value),))
        row = await flow_book.make(tx, "Thanks", flow, by=till.agent)
        await flow_book.publish(tx, row, by=till.agent)
        await flow_book.switch(tx, row, True, by=till.agent)


async def copied(till: Till) -> UUID:
    """Another order like the till's."""
    second = new_id()
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(
            text(
                "INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object('id', CAST(:id AS text), "
                "'external_id', '2nd'))).* FROM orders o WHERE id = :order"
            ),
            {"id": str(second), "order": till.order_id},
        )
    return second


async def gift_of(till: Till) -> BotGift:
    async with till.app.db.transaction(till.workspace) as tx:
        return (await tx.scalars(select(BotGift).where(BotGift.workspace_id == tx.workspace_id))).one()


@pytest.fixture
async def shopper(till: Till) -> Asking:
    asking = Asking(till)
    await asking.begin()
    return asking


async def test_a_proven_customer_gets_one_code_made_on_the_store(till: Till, shopper: Asking) -> None:
    await open_shop(till)
    await shopper.say()
    (made,) = await codes(till)
    promised, told = await shopper.heard()
    assert "10%" in promised
    gift = await gift_of(till)
    assert (gift.state, gift.proof, gift.percent) == (gifts.MADE, "code", 10)
    assert gift.code in told
    assert made["code"].upper() == gift.code
    async with till.app.db.transaction(till.workspace) as tx:
        turn = await tx.scalar(select(BotTurn).where(BotTurn.conversation_id == gift.conversation_id))
    assert turn is not None
    (evidence,) = turn.data["gifts"]
    assert evidence == {
        "wish": "10%", "verdict": "given", "proof": "code", "order": str(till.order_id), "customer": 0, "today": 0,
        "id": str(gift.id),
    }  # fmt: skip
    (event,) = await till.events("order.acted")
    assert (event["bot"], event["shopper"], event["action"]) == (True, False, "discount")
    # The same wish once more is over the cap of the customer.
    await shopper.say()
    assert len(await codes(till)) == 1
    assert (await shopper.heard())[-1].startswith("There was a discount code for you")


async def test_without_proof_there_is_none_and_the_way_to_prove_is_shown(till: Till) -> None:
    await open_shop(till)
    stranger = Asking(till, proven=False)
    await stranger.begin()
    await stranger.say()
    assert await codes(till) == []
    (said,) = await stranger.heard()
    assert "Find your order" in said


async def test_a_wish_that_is_refused_is_logged_with_why_as_one_that_is_granted(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till)
    proven, stranger = Asking(till), Asking(till, proven=False)
    for one in (proven, stranger):
        await one.begin()
    await proven.say()
    await proven.say()
    await stranger.say()
    await open_shop(till, "25%", per_customer=100)
    await proven.say()
    async with till.app.db.transaction(till.workspace) as tx:
        rows = list(await tx.scalars(select(BotTurn).order_by(BotTurn.created_at)))
    told = [(one["wish"], one["verdict"], one["proof"], bool(one["id"])) for row in rows for one in row.data["gifts"]]
    assert told == [
        ("10%", "given", "code", True),
        ("10%", "customer_cap", "code", False),
        ("10%", "unproven", "", False),
        ("25%", "over_limit", "code", False),
    ]
    assert len(await codes(till)) == 1


async def test_above_the_threshold_an_agent_decides_within_their_own_limit(till: Till, shopper: Asking) -> None:
    await open_shop(till, "15%")
    await shopper.say()
    gift = await gift_of(till)
    assert (gift.state, await codes(till)) == (gifts.ASKED, [])
    assert (await shopper.talk()).waiting_since is not None
    currency = (await till.ours()).currency
    clerk = await till.person(Role.ADMIN)
    small = await till.person(Role.AGENT, rights=["refund"], refund_limits={currency: 1})
    async with till.app.db.transaction(till.workspace) as tx:
        for verdict in (gifts.approve(tx, gift.id, by=clerk), gifts.decline(till.app, tx, gift.id, by=clerk)):
            with pytest.raises(Forbidden):
                await verdict
        with pytest.raises(Forbidden, match="more than you may give back"):
            await gifts.approve(tx, gift.id, by=small)
    async with till.app.db.transaction(till.workspace) as tx:
        await gifts.approve(tx, gift.id, by=till.agent)
    async with till.app.db.transaction(till.workspace) as tx:
        with pytest.raises(Conflict):
            await gifts.decline(till.app, tx, gift.id, by=till.agent)
    await work(till)
    assert len(await codes(till)) == 1
    assert gift.code in (await shopper.heard())[-1]
    assert (await shopper.talk()).waiting_since is None
    (event,) = await till.events("order.acted")
    assert event["by"] == "Maya"


async def test_declined_it_is_said_and_nothing_is_made(till: Till, shopper: Asking) -> None:
    await open_shop(till, "15%")
    await shopper.say()
    gift = await gift_of(till)
    async with till.app.db.transaction(till.workspace) as tx:
        await gifts.decline(till.app, tx, gift.id, by=till.agent)
    await work(till)
    assert await codes(till) == []
    assert "not possible" in (await shopper.heard())[-1]
    async with till.app.db.transaction(till.workspace) as tx:
        kinds = list(await tx.scalars(select(AuditEntry.kind).where(AuditEntry.subject_id == till.order_id)))
    assert kinds == ["orders.discount_declined"]


@pytest.mark.parametrize("trouble", ["kill", "lose", "cut"])
async def test_killed_or_lost_in_between_it_is_one_code(till: Till, shopper: Asking, trouble: str) -> None:
    await open_shop(till)
    setattr(till.wire, trouble, 1)
    try:
        await shopper.say()
    except Killed:
        pass
    for _round in range(4):
        await hurry(till)
        await work(till)
    gift = await gift_of(till)
    assert gift.state == gifts.MADE
    assert len(await codes(till)) == 1
    assert sum(gift.code in one for one in await shopper.heard()) == 1


async def test_a_store_that_refuses_is_told_to_both(till: Till, shopper: Asking) -> None:
    await open_shop(till)
    async with till.app.db.transaction(till.workspace) as tx:
        gone = "gid://shopify/Order/9" if till.kind == "shopify" else "9"
        statement = text("UPDATE orders SET external_id = :gone WHERE id = :id")
        await tx.execute(statement, {"id": till.order_id, "gone": gone})
    await shopper.say()
    assert (await gift_of(till)).state == gifts.FAILED
    assert "A colleague looks into it" in (await shopper.heard())[-1]
    assert (await shopper.talk()).waiting_since is not None


async def test_codes_that_were_never_made_or_that_are_long_ago_count_no_more(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till, per_day=1, within_days=30)
    shopper = Asking(till)
    await shopper.begin()

    async def age(state: str, days: int) -> None:
        async with till.app.db.transaction(till.workspace) as tx:
            moment = func.now() - timedelta(days=days)
            await tx.execute(update(BotGift).values(state=state, created_at=moment))

    for at, (state, days, gives) in enumerate(
        [(gifts.FAILED, 0, True), (gifts.DECLINED, 0, True), (gifts.MADE, 29, False), (gifts.MADE, 31, True)]
    ):
        if not at:
            await shopper.say()
        await age(state, days)
        before = len(await codes(till))
        # Another conversation: a flow begins in one only so often.
        async with till.app.db.transaction(till.workspace) as tx:
            await tx.execute(update(BotFlowRun).values(created_at=func.now() - timedelta(days=400)))
            talk = await tx.get(Conversation, (await shopper.talk()).id)
            assert talk is not None
            await threads.turn(tx, talk, Status.RESOLVED, by=till.agent)
        await shopper.say()
        assert len(await codes(till)) - before == int(gives), (state, days)


async def test_a_store_that_stays_away_is_asked_for_minutes_and_then_a_colleague_looks(
    shopify_till: Till,
) -> None:
    till = shopify_till
    await open_shop(till)
    shopper = Asking(till)
    await shopper.begin()
    till.wire.broken = True
    await shopper.say()
    assert (await gift_of(till)).state == gifts.GOING
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(BotGift).values(decided_at=func.now() - timedelta(minutes=11)))
    await hurry(till)
    await work(till)
    assert (await gift_of(till)).state == gifts.FAILED
    assert "A colleague looks into it" in (await shopper.heard())[-1]


async def test_one_browser_gets_one_code_whosever_orders_it_proves(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till)
    second = await copied(till)
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(Order).values(customer_id=None))
    shopper = Asking(till)
    await shopper.begin()
    await shopper.say()
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(OrderProof).values(order_id=second))
    await shopper.say()
    assert (await shopper.heard())[-1].startswith("There was a discount code for you")
    assert len(await codes(till)) == 1


async def test_many_at_once_stay_below_the_cap_of_the_day(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till, per_day=2, per_customer=100)
    many = [Asking(till) for _at in range(5)]
    for one in many:
        await one.begin()
    await asyncio.gather(*(one.say() for one in many))
    await work(till)
    assert len(await codes(till)) == 2


async def test_who_looks_while_another_is_counted_waits_for_them(
    shopify_till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = shopify_till
    await open_shop(till, per_day=1, per_customer=100)
    many = [Asking(till) for _at in range(3)]
    for one in many:
        await one.begin()
    real = gifts._counts

    async def slowly(*asked: Any) -> tuple[int, int]:
        found = await real(*asked)
        await asyncio.sleep(0.5)
        return found

    monkeypatch.setattr(gifts, "_counts", slowly)
    await asyncio.gather(*(one.say() for one in many))
    await work(till)
    assert len(await codes(till)) == 1


async def test_a_guest_who_proves_one_order_in_two_browsers_is_one_customer(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till)
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == till.order_id).values(customer_id=None))
    phone, laptop = Asking(till), Asking(till)
    for one in (phone, laptop):
        await one.begin()
        await one.say()
    assert len(await codes(till)) == 1
    assert (await laptop.heard())[-1].startswith("There was a discount code for you")


async def test_a_customer_with_two_orders_in_two_browsers_is_one_customer(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till)
    second = await copied(till)
    phone = Asking(till)
    await phone.begin()
    await phone.say()
    laptop = Asking(replace(till, order_id=second))
    await laptop.begin()
    await laptop.say()
    assert len(await codes(till)) == 1
    assert (await laptop.heard())[-1].startswith("There was a discount code for you")


async def test_an_order_that_was_cancelled_earns_none(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till)
    shopper = Asking(till)
    await shopper.begin()
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == till.order_id).values(cancelled_at=func.now()))
    await shopper.say()
    assert await codes(till) == []
    assert "Find your order" in (await shopper.heard())[0]


@pytest.mark.parametrize(
    ("terms", "gives"),
    [
        ({"channels": ["email"]}, False),
        ({"channels": ["chat"]}, True),
        ({"hours": "closed"}, False),
        ({"hours": "open"}, True),
        ({"segments": ["tag:vip"]}, False),
        ({"on": False}, False),
    ],
)
async def test_a_code_is_given_only_where_when_and_to_whom_the_merchant_wants(
    shopify_till: Till, terms: dict[str, Any], gives: bool
) -> None:
    till = shopify_till
    await open_shop(till)
    async with till.app.db.transaction(till.workspace) as tx:
        bot = await bots.ready(tx, till.connection.store_id)
        bot.may = {"discount": terms}
    shopper = Asking(till)
    await shopper.begin()
    await shopper.say()
    assert len(await codes(till)) == int(gives)
    assert (await shopper.heard())[0].startswith("You get" if gives else "I cannot give a discount")


async def test_an_amount_is_taken_off_in_the_stores_own_currency_alone(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till, "500", amount=1000, free_amount=1000)
    shopper = Asking(till)
    await shopper.begin()
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == till.order_id).values(currency="XTS"))
    await shopper.say()
    assert await codes(till) == []
    assert (await shopper.heard())[0].startswith("I cannot give a discount")


async def test_whoever_asks_for_a_discount_gets_one_where_the_merchant_wants_that(shopify_till: Till) -> None:
    till = shopify_till
    await open_shop(till, "1%", asked_percent=5)
    shopper = Asking(till)
    await shopper.begin()
    # The models are away here: the topic is known by its spelling, and no flow listens to it.
    await shopper.say("do you have a promo code")
    gift = await gift_of(till)
    assert (gift.percent, gift.key.startswith("message "), len(await codes(till))) == (5, True, 1)


@pytest.mark.parametrize(
    ("giving", "wish", "customers", "today", "verdict"),
    [
        (Giving(), Wish(10), 0, 0, Verdict.OFF),
        (Giving(on=True), Wish(10), 0, 0, Verdict.GIVEN),
        (Giving(on=True), Wish(11), 0, 0, Verdict.LIMIT),
        (Giving(on=True), Wish(amount=1), 0, 0, Verdict.LIMIT),
        (Giving(on=True), Wish(), 0, 0, Verdict.LIMIT),
        (Giving(on=True, percent=30), Wish(11), 0, 0, Verdict.ASKED),
        (Giving(on=True, amount=5000, free_amount=1000), Wish(amount=1000), 0, 0, Verdict.GIVEN),
        (Giving(on=True, amount=5000, free_amount=1000), Wish(amount=1001), 0, 0, Verdict.ASKED),
        (Giving(on=True), Wish(10), 1, 0, Verdict.CUSTOMER),
        (Giving(on=True), Wish(10), 0, 20, Verdict.DAY),
    ],
)
def test_the_limits(giving: Giving, wish: Wish, customers: int, today: int, verdict: Verdict) -> None:
    assert judge(giving, wish, customers=customers, today=today) is verdict


@pytest.mark.parametrize(
    ("said", "wish"),
    [("10%", Wish(10)), ("500", Wish(amount=500)), ("101%", None), ("0", None), ("-5", None), ("x", None), ("", None)],
)
def test_a_wish_is_a_percentage_or_minor_units(said: str, wish: Wish | None) -> None:
    assert Wish.of(said) == wish
